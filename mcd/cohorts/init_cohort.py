"""From a folder of scans to a proposal of a cohort: a known layout if it has one, else a guess by names and contents."""

import shlex
from dataclasses import replace
from pathlib import Path

from mcd.cohorts import find_layout
from mcd.cohorts.first_configuration import regions_of
from mcd.cohorts.guess import NONE, Answers, guess_cohort
from mcd.cohorts.layout import HEAD_BOX
from mcd.cohorts.proposal import LEFT_OUT, MAX_REGIONS, Progress, Proposal, codes_in_labels, with_boxes, with_contents
from mcd.cohorts.recognise import recognise
from mcd.errors import McdError
from mcd.imaging.alike import absent_regions


def propose(
    folder: Path, answers: Answers, progress: Progress = lambda names, unit: names, find_boxes: bool = False
) -> Proposal:
    """Return what a folder holds, as far as it is known without the answers that `questions` asks for.

    `find_boxes` has the boxes of head-and-neck patients found, whatever the layout.
    Raises `McdError` for a folder without volumes, and an answer that no file fits.
    """
    if not folder.is_dir():
        raise McdError(f"{folder}: no such folder; give the folder that holds the scans")
    known, nearly = ([], []) if answers.of_files else recognise(folder)
    try:
        proposal = _without(_best(known, progress), answers) if known else guess_cohort(folder, answers)
    except McdError:
        if nearly:
            raise McdError(nearly[0]) from None
        raise
    if not proposal.subjects:
        return proposal
    find_box = find_layout(proposal.layout).find_box if proposal.layout else None
    if find_boxes:
        find_box = HEAD_BOX
    if find_box and not proposal.questions:
        proposal = with_boxes(proposal, find_box, progress)
    return _with_codes_told(with_contents(proposal, progress))


def command_of(proposal: Proposal) -> str:
    """Return the command that says all that was taken for granted, to be corrected and given."""
    words = ["mcd", "init-cohort", shlex.quote(str(proposal.folder))]
    for row in proposal.rows:
        if not row.pattern:
            continue
        if row.what in ("label", "mask"):
            words += [f"--{row.what}", shlex.quote(row.pattern)]
        elif row.what != LEFT_OUT:
            words += ["--modality", shlex.quote(f"{row.what}={row.pattern}")]
    return " ".join(words)


def _best(known: list[Proposal], progress: Progress) -> Proposal:
    """Return the layout with most patients; of years whose forms differ in the codes alone, the one that has just the labels'.

    Where none has, the earliest: 4 was enhancing tumour before it was the resection cavity.
    """
    if len(known) == 1:
        return known[0]

    def fit(proposal: Proposal) -> tuple[int, bool]:
        named = {code for of in proposal.regions.values() for code in of}
        return len(proposal.subjects), set(codes_in_labels(proposal.subjects, progress)) == named

    return max(reversed(known), key=fit)


def _without(proposal: Proposal, answers: Answers) -> Proposal:
    """Leave out of a known layout what the user says is not there, and ask for labels where it has none."""
    unwanted = [what for what, answer in (("label", answers.label), ("mask", answers.mask)) if answer == NONE]
    subjects = [
        replace(
            subject,
            label=None if "label" in unwanted else subject.label,
            mask=None if "mask" in unwanted else subject.mask,
        )
        for subject in proposal.subjects
    ]
    proposal = replace(proposal, subjects=subjects, rows=[row for row in proposal.rows if row.what not in unwanted])
    if answers.label != NONE and not any(subject.label for subject in proposal.subjects):
        question = (
            f"which files are the labels? the layout {proposal.layout} has some, and none is here: --label {NONE}"
        )
        return replace(proposal, questions=[*proposal.questions, question])
    return proposal


def _with_codes_told(proposal: Proposal) -> Proposal:
    counts = proposal.names or {str(code): count for code, count in sorted(proposal.codes.items())}
    words = ", ".join(f"{one} (in {count})" for one, count in counts.items()) or "none"
    told = f"{'names' if proposal.names else 'codes'}: {words}"
    rows = [replace(row, remark=told) if row.what == "label" else row for row in proposal.rows]
    remarks = list(proposal.remarks)
    if others := list(proposal.names)[MAX_REGIONS - 1 :]:
        remarks.append(f"in the labels, too, and background as long as label_names lacks them: {', '.join(others)}")
    absent = absent_regions(proposal.regions, proposal.codes) if proposal.codes else []
    if absent:
        remarks.append(f"regions left out, since no label has their codes: {', '.join(absent)}")
        held = {name: of for name, of in proposal.regions.items() if name not in absent}
        proposal = replace(proposal, regions=held)
    if proposal.regions and regions_of(proposal).keys() != proposal.regions.keys():
        named = ", ".join(f"{region} {list(of)}" for region, of in proposal.regions.items())
        remarks.append(
            f"the layout has the regions {named}; the labels have other codes, or too many, so regions go by code"
        )
    return replace(proposal, rows=rows, remarks=remarks)

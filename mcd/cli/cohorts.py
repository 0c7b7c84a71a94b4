"""Cohorts of raw files."""

import argparse
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcd.cli.arguments import count, not_negative, whole
from mcd.cohorts import find_layout, simulated_layouts
from mcd.cohorts.sources import FILE, SOURCES, find_source
from mcd.errors import FEW, McdError, some
from mcd.paths import check_output, is_address

if TYPE_CHECKING:
    from mcd.slices.splits import Split

SHOWN = 15
"""Most rows of a table on the terminal."""


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare this module's commands by `command(name, function, help)`."""
    sub = command("simulate", _simulate, "Write a simulated cohort's raw files in an official layout.")
    sub.add_argument("layout", choices=simulated_layouts())
    sub.add_argument("folder", type=Path)
    sub.add_argument("--subjects", type=count, default=4)
    sub.add_argument("--seed", type=whole, default=0)
    sub.add_argument("--noise", type=not_negative, default=1.0, help="factor on the scanners' noise")

    sub = command(
        "fetch",
        _fetch,
        "Bring a public data set, after showing its terms, or a pack of weights; without a name, list data sets.",
    )
    sub.add_argument(
        "name", nargs="?", help=f"{', '.join(SOURCES)}; or what `mcd share` has packed: a folder, a zip, or its address"
    )
    sub.add_argument("--folder", type=Path, help="what it is unpacked into (default data; of weights, weights)")
    sub.add_argument("--mirror", metavar="URL", help="another place that has the archive: the address of a folder")

    sub = command(
        "init-cohort", _init_cohort, "Write a first sheet and configuration for a folder of scans, by file names."
    )
    sub.add_argument("folder", type=Path)
    sub.add_argument(
        "--output", type=Path, help="what is written, without .tsv and .yaml (default: the folder's name, here)"
    )
    sub.add_argument(
        "--modality",
        action="append",
        default=[],
        metavar="NAME=PATTERN",
        help="which files are a modality, one option for each: the path below the folder, with * for the patient, such as "
        "CT='*/ct.nii.gz'; ** is a patient of several folders, a further * anything within a name",
    )
    sub.add_argument("--label", metavar="PATTERN", help="which files are the labels, or `none`")
    sub.add_argument("--mask", metavar="PATTERN", help="which files are masks, or `none`")
    sub.add_argument(
        "--head-box",
        action="store_true",
        help="find a box of 144 mm around each patient's oropharynx in the PET, and write it into the column box "
        "(HECKTOR since 2022: done anyway)",
    )

    sub = command(
        "check-cohort", _check_cohort, "Find everything in a cohort's raw files that would fail later, in one pass."
    )
    sub.add_argument("--config", type=Path, required=True, help="a configuration of the workflow")
    sub.add_argument("--cohort", help="one of its cohorts; may be left out where there is one")
    sub.add_argument("--output", type=Path, help="a CSV to write what was found to")
    sub.add_argument("--jobs", type=count, default=1, help="patients examined in parallel (default %(default)s)")

    sub = command(
        "split",
        _split,
        "Decide what becomes of a split whose cohort has other patients or settings than it was drawn from.",
    )
    sub.add_argument(
        "decision",
        choices=["keep", "extend", "redraw"],
        help="keep it, without new patients; extend it, with new ones to train (or where the sheet says); draw it anew",
    )
    sub.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="splits/<cohort>/seed<seed>.json, and those of its folds and draws",
    )
    sub.add_argument("--config", type=Path, required=True, help="the configuration of the run")

    sub = command(
        "grouping", _grouping, "Rank the ways to pair modalities by how different they look (paper Sec. V-C)."
    )
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument("--shards", type=Path, nargs="+", help="of one cohort")
    source.add_argument("--subjects", type=Path, help="a folder of preprocessed patients, each a folder")
    sub.add_argument("--split", type=Path, help="look at its training patients only")
    sub.add_argument("--modalities", nargs="+", help="default: all")
    sub.add_argument("--output", type=Path, help="CSV of all pairings")


def _simulate(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mcd.cohorts.simulated import (
        patient_files,
        simulated_subjects,
        simulator_of,
        write_cohort_file,
        write_patient,
    )

    layout, folder, seed = options.layout, check_output(options.folder, folder=True), options.seed
    subjects = simulated_subjects(layout, folder, find_layout(layout).modalities, options.subjects, seed=seed)
    for subject in tqdm(subjects, unit="patient", disable=None):
        files = patient_files(layout, folder, subject.id)
        write_patient(layout, files, subject.id, seed=seed, noise=options.noise, spacing={})
    for name in simulator_of(layout).cohort_files:
        write_cohort_file(layout, name, subjects, folder / name)


def _fetch(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mcd.cohorts.fetch import fetch

    if options.name is None:
        for name, source in SOURCES.items():
            print(f"{name}: {source.title}{'' if source.url else ' (by a click)'}")
        return
    place = options.name
    if place not in SOURCES and (is_address(place) or place.endswith(".zip") or Path(place).exists()):
        _fetch_weights(options)
        return
    source = find_source(options.name)
    folder = check_output(options.folder or Path("data"), folder=True)
    print(f"{source.title}\n{source.page}\nLicence: {source.licence}\nPlease cite: {source.citation}\n", flush=True)
    with tqdm(total=source.size, unit="B", unit_scale=True, disable=True if source.url is None else None) as bar:
        place = fetch(source, options.name, folder, options.mirror, _shown_in(bar))
    print(f"{place}: here, with its licence and citation in {FILE}.")


def _fetch_weights(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mcd.sharing.pack import unpack

    if options.mirror:
        raise McdError("--mirror: is for data sets; give the pack's own address")
    folder = check_output(options.folder or Path("weights"), folder=True)
    with tqdm(unit="B", unit_scale=True, disable=None if is_address(options.name) else True) as bar:
        place, terms = unpack(options.name, folder, _shown_in(bar))
    cite = f"\nPlease cite its data: {terms['citation']}" if terms["citation"] else ""
    print(
        f"{place}: for mcd finetune --pretrained\nLicence: {terms['licence']}; of its data: {terms['data_licence']}{cite}"
    )


def _shown_in(bar: Any) -> Callable[[int, int | None], None]:
    """Shows in a bar of tqdm's what has come of a download."""

    def advance(here: int, total: int | None) -> None:
        bar.total = total
        bar.n = here
        bar.refresh()

    return advance


def _init_cohort(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mcd.cohorts.findings import print_table
    from mcd.cohorts.first_configuration import cohort_name, left_out, write_proposal
    from mcd.cohorts.guess import Answers
    from mcd.cohorts.init_cohort import command_of, propose

    stem = options.output or Path(cohort_name(options.folder))
    sheet, configuration = Path(f"{stem}.tsv"), Path(f"{stem}.yaml")
    answers = Answers(dict(map(_named_pattern, options.modality)), options.label, options.mask)
    proposal = propose(
        options.folder, answers, lambda names, unit: tqdm(names, unit=unit, disable=None), options.head_box
    )
    header = ["what", "pattern (* is the patient)", "example", "files", "patients without", "remark"]
    print_table(header, [row.cells() for row in proposal.rows])
    print(f"Patients: {some([subject.id for subject in proposal.subjects]) or 'none'}")
    whole = [
        f"without a {row.what}: {', '.join(row.without)}"
        for row in proposal.rows
        if row.what not in proposal.modalities and len(row.without) > FEW
    ]
    for remark in [*proposal.remarks, *left_out(proposal), *whole]:
        print(f"{remark[:1].upper()}{remark[1:]}.")
    if proposal.questions:
        print("\nBefore anything is written:")
        for question in proposal.questions:
            print(f"- {question}")
        print(f"\nWhat was taken for granted, to correct and give again:\n{command_of(proposal)}\n")
        raise McdError(
            f"{options.folder}: questions are open (above): {len(proposal.questions)}; answer them by the options"
        )
    key = write_proposal(proposal, sheet, configuration)
    count = len(proposal.subjects) + len(proposal.left_out)
    labelled = sum(subject.label is not None for subject in proposal.subjects)
    print(
        f"{len(proposal.subjects)} of {count} patients have every modality, and are in {sheet}; "
        f"{labelled} of them with a label."
    )
    if key:
        print(
            f"Patients have numbers, since no folder of theirs names them: {key} says which PatientID and files each is. It is "
            "for you alone; keep it where the scans are kept, and away from what is passed on."
        )
    else:
        print(
            f"Patients are named after their folders or files. If that says who they are, change the column subject of {sheet}."
        )
    print(f"Look both files through, then: mcd check-cohort --config {configuration}")


def _named_pattern(text: str) -> tuple[str, str]:
    name, separator, pattern = text.partition("=")
    if not separator or "*" not in pattern:
        raise McdError(f"--modality {text}: not NAME=PATTERN with * for the patient; give such as CT='*/ct.nii.gz'")
    return name, pattern


def _check_cohort(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mcd import plan
    from mcd.cohorts.check_cohort import check_cohort
    from mcd.cohorts.find import find_subjects
    from mcd.cohorts.findings import Finding, print_findings, write_findings
    from mcd.cohorts.layout import faults
    from mcd.config import read_config
    from mcd.slices.splits import make_split

    if options.output:
        check_output(options.output)
    config = read_config(options.config)
    name = options.cohort or (next(iter(config.cohorts)) if len(config.cohorts) == 1 else None)
    if name not in config.cohorts:
        raise McdError(f"--cohort {name or 'is missing'}: {options.config} has {', '.join(config.cohorts)}; give one")
    cohort = config.cohorts[name]
    if cohort.simulate:
        raise McdError(f"--cohort {name}: is simulated, and has no raw files of yours; choose another")
    found: list[Finding] = []

    def note(error: McdError, patient: str) -> None:
        found.append(Finding.of(error, patient))

    subjects = find_subjects(cohort.layout, cohort.raw_folder, cohort.sheet_path, cohort.modalities, note)
    for error, patient in plan.unknown_regions(subjects, cohort.regions):
        note(error, patient)
    with faults(note):
        make_split(plan.origin(config, name, subjects), config.seeds[0], plan.folds(config, name)[0])
    found += check_cohort(
        subjects,
        cohort.preprocessing,
        cohort.regions,
        cohort.pairs,
        jobs=options.jobs,
        progress=lambda patients: tqdm(patients, total=len(subjects), unit="patient", disable=None),
    )
    if options.output:
        write_findings(found, options.output)
    print_findings(found)
    errors = sum(finding.severity == "error" for finding in found)
    faulty = {finding.patient for finding in found if finding.patient}
    good = len({subject.id for subject in subjects} - faulty)
    unlabelled = sum(subject.label is None for subject in subjects)
    print(
        f"{len(subjects)} patients checked{f' ({unlabelled} of them without a label)' if unlabelled else ''}, "
        f"{good} without a finding: {errors} errors, {len(found) - errors} warnings"
    )
    if errors:
        raise McdError(f"{name}: {errors} errors; correct what the table names, and check again")


def _grouping(options: argparse.Namespace) -> None:
    import pandas as pd
    from tqdm import tqdm

    from mcd.csv_files import write_frame
    from mcd.evaluation.grouping import explain, rank_pairings
    from mcd.slices.preprocessed import preprocessed_volumes
    from mcd.slices.volumes import shard_volumes

    if options.output:
        check_output(options.output)
    volumes = shard_volumes if options.shards else preprocessed_volumes
    patients = volumes(options.shards or options.subjects, options.split, options.modalities)
    table = rank_pairings(tqdm(patients, unit="patient", disable=None, leave=False))
    if options.output:
        write_frame(table, options.output, "%.6g")
    with pd.option_context("display.float_format", "{:.3f}".format, "display.width", None):
        print(table.drop(columns=["ci_low", "ci_high"]).head(SHOWN).fillna("").to_string(index=False))
    if len(table) > SHOWN:
        print(f"... and {len(table) - SHOWN} more" + ("" if options.output else "; --output FILE writes them all"))
    print(f"\n{explain(table)}")


def _split(options: argparse.Namespace) -> None:
    import os
    from dataclasses import replace

    from mcd import plan
    from mcd.config import read_config
    from mcd.slices.splits import draw_labels, extend, keep, make_split, mismatch, read_split, write_split

    config = read_config(options.config)
    named = {path: _seeds_of(path, config.cohorts) for path in options.files}
    for path, (seed, fold, draw) in sorted(
        named.items(), key=lambda item: (item[0].parent, item[1])
    ):  # a seed, or its fold, before its draws
        name = path.parent.name
        if fold not in plan.folds(config, name):
            kind = f"{config.cohorts[name].folds} folds" if config.cohorts[name].folds else "one split for a seed"
            raise McdError(
                f"{path}: is read by no run, since {name} has {kind}; name those that are, or correct `folds`"
            )
        split = read_split(path)
        origin = plan.origin(config, name, plan.patients(config, name, "data"))  # whoever they are, wherever they lie
        told = mismatch(split, origin)
        if options.decision == "keep":
            decided = keep(split, origin)
        elif options.decision == "extend":
            decided = extend(split, origin, seed, draw, fold)
        elif draw:
            base = path.with_name(f"seed{seed}{plan.fold_text(fold)}.json")
            if its := mismatch(read_split(base), origin):
                raise McdError(f"{base}: has to be decided first, since {path.name} follows it: {its}; name it, too")
            decided = draw_labels(read_split(base), name, seed, draw, fold)
        else:
            decided = make_split(origin, seed, fold)
        persons = split.drawn_from.persons if split.drawn_from else {}
        changed = replace(decided, drawn_from=None) != replace(split, drawn_from=None) or persons != origin.persons
        times = path.stat()
        write_split(decided, path)
        if not changed:  # what was trained on it stays as it is
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        moved = f"{_counts(split)} -> {_counts(decided)} patients train + test"
        if split.unlabelled or decided.unlabelled:
            moved += " + train without a label"
        if split.validation or decided.validation:
            moved += " + validation"
        print(f"{path}: {told or 'as it was drawn'}; {moved if changed else 'train and test stay'}")


def _seeds_of(path: Path, cohorts: Collection[str]) -> tuple[int, int, int]:
    """(seed, fold, draw) in a split's name; 0 for a number that is not there."""
    match = re.fullmatch(r"seed(\d+)(?:-fold([1-9]\d*))?(?:-draw([1-9]\d*))?\.json", path.name)
    if path.parent.name not in cohorts or not match:
        known = ", ".join(cohorts)
        raise McdError(f"{path}: not named splits/<cohort>/seed<seed>.json after {known}; correct the path")
    seed, fold, draw = (int(number or 0) for number in match.groups())
    return seed, fold, draw


def _counts(split: "Split") -> str:
    return " + ".join(str(len(part)) for part in (split.train, split.test, split.unlabelled, split.validation) if part)

"""The first sheet and configuration for a folder of scans, from a proposal, with what may be corrected said beside it."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from mcd.cohorts import find_layout
from mcd.cohorts.index import write_index
from mcd.cohorts.proposal import MAX_REGIONS, Proposal
from mcd.errors import McdError
from mcd.files import write_text
from mcd.pair import Pair

_PAIRS = (Pair("CT-PET"), Pair("T1CE-T2"), Pair("FLAIR-T1"))  # paper Sec. V


def write_proposal(proposal: Proposal, sheet: Path, configuration: Path) -> Path | None:
    """Write a sheet (TSV) of the complete patients and a commented configuration (YAML); neither may be there already.

    Where patients were given numbers, also write beside the sheet who they are, for the user alone; return that file.
    """
    key = find_layout(proposal.layout).key if proposal.layout else None
    rows = key(proposal.subjects) if key else []
    names = sheet.with_name(f"{sheet.stem}_key.tsv")
    for path in (sheet, configuration, *([names] if rows else [])):
        if path.exists():
            raise McdError(f"{path}: is there already, and is not overwritten; move it, or choose another --output")
    write_index(proposal.subjects, sheet, root=proposal.folder)
    write_text(configuration, _yaml(proposal, sheet))
    if not rows:
        return None
    lines = [
        ("subject", "PatientID", "file"),
        *((name, who, os.path.relpath(file, proposal.folder)) for name, who, file in rows),
    ]
    write_text(names, "".join("\t".join(line) + "\n" for line in lines))
    names.chmod(0o600)
    return names


def left_out(proposal: Proposal) -> Iterator[str]:
    """A sentence for each reason why patients are not in the sheet, with all whom it concerns."""

    def reason(item: tuple[str, str]) -> str:
        return item[1].replace(f"{proposal.folder}/", "").removeprefix(f"{proposal.folder}: ")

    for why, items in groupby(sorted(proposal.left_out.items(), key=reason), key=reason):
        names = [name for name, _ in items if name not in why]
        yield f"left out of the sheet ({why}): {', '.join(names)}" if names else f"left out of the sheet: {why}"


def regions_of(proposal: Proposal) -> dict[str, list[int]]:
    """Return region -> codes: the layout's, if they are those of the labels, else all codes together and one by one."""
    if chosen := label_names(proposal):
        return {"target": list(chosen.values())} | (_by_name(chosen) if len(chosen) > 1 else {})
    named = {region: list(codes) for region, codes in proposal.regions.items()}
    known = {code for codes in named.values() for code in codes}
    codes = sorted(proposal.codes)
    if named and len(named) <= MAX_REGIONS and known >= set(codes):
        return named
    return {"target": codes or [1]} | (
        {f"code{code}": [code] for code in codes} if 1 < len(codes) < MAX_REGIONS else {}
    )


def label_names(proposal: Proposal) -> dict[str, int]:
    """Return name -> code of what DICOM labels hold, as many as there may be regions beside that of all together."""
    return {name: code for code, name in enumerate(list(proposal.names)[: MAX_REGIONS - 1], start=1)}


def _by_name(chosen: Mapping[str, int]) -> dict[str, list[int]]:
    """Region -> its code, of each name; regions are called by letters and digits."""
    found: dict[str, list[int]] = {}
    for name, code in chosen.items():
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        found[plain if plain and plain not in ("target", *found) else f"code{code}"] = [code]
    return found


def _yaml(proposal: Proposal, sheet: Path) -> str:
    names = proposal.modalities
    pairs = [pair for pair in _PAIRS if set(pair.modalities) <= set(names)]
    paired = {name for pair in pairs for name in pair.modalities}
    single = [name for name in names if name not in paired]
    pairs += [Pair.of(first, second) for first, second in zip(single[::2], single[1::2], strict=False)]
    rules = ", ".join(f"{name}: {rule}" for name, rule in proposal.statistics_region.items())
    unlabelled = [subject.id for subject in proposal.subjects if subject.label is None]
    remarks = list(proposal.remarks)
    remarks += left_out(proposal)
    if unlabelled:
        remarks.append(f"without a label: {', '.join(unlabelled)}")
    lines = [
        f"# A first configuration for {json.dumps(str(proposal.folder))} by `mcd init-cohort`: look it through, then",
        "# `mcd check-cohort --config` this file. Every key is explained in docs/reference/configuration.md.",
        "",
        "cohorts:",
        f"  {cohort_name(proposal.folder)}:",
        *(f"    # {remark}" for remark in remarks),
        "    layout: samplesheet",
        f"    sheet: {json.dumps(os.path.abspath(sheet))}",
        f"    folder: {json.dumps(os.path.abspath(proposal.folder))} # the sheet's paths count from here",
        f"    modalities: [{', '.join(names)}] # the first is the reference: its axes are the common grid's",
        f"    pairs: [{', '.join(pairs)}] # pre-trained together: take those that look least alike (paper Sec. V-C)",
        "    regions: # name -> codes of the label map; regions may overlap",
        *_regions(regions_of(proposal)),
        "    preprocessing:",
        f"      size: {proposal.size} # voxels of the crop in-plane, multiples of 16: holds what some patients showed",
        f"      spacing: {proposal.spacing} # mm: the median of some patients, or a multiple in-plane of what is too fine",
        *_label_names(label_names(proposal)),
        f"      statistics_region: {{{rules}}} # nonzero, body (CT) or all; a mask takes precedence",
        "",
        "# Keys not given default to the paper's value: 64 filters, 200 epochs of pre-training, which need a GPU.",
        "# For a first try on a CPU, uncomment:",
        "# filters: 8",
        "# pretraining: {epochs: 3}",
        "# finetuning: {epochs: 10, learning_rate: 0.005, warmup_epochs: 1}",
    ]
    return "\n".join(lines) + "\n"


def _regions(regions: Mapping[str, Sequence[int]]) -> list[str]:
    return [f"      {name}: {list(codes)}" for name, codes in regions.items()]


def _label_names(chosen: Mapping[str, int]) -> list[str]:
    if not chosen:
        return []
    return [
        "      label_names: # of segments or regions of interest -> code; several may have one; others are background",
        *(f"        {json.dumps(name)}: {code}" for name, code in chosen.items()),
    ]


def cohort_name(folder: Path) -> str:
    """Return a name for the cohort that the configuration allows."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", folder.resolve().name).strip("_") or "cohort"

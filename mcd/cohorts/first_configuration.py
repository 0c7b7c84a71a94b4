"""The first sheet and configuration for a folder of scans, written from a guess, with what to correct said beside it."""

import json
import os
import re
from pathlib import Path

from mcd.cohorts.guess import Guess
from mcd.errors import McdError
from mcd.files import write_text
from mcd.pair import Pair

_PAIRS = (Pair("CT-PET"), Pair("T1CE-T2"), Pair("FLAIR-T1"))  # paper Sec. V


def write_guess(guess: Guess, sheet: Path, configuration: Path) -> None:
    """Write a sheet (TSV) of the complete patients and a commented configuration (YAML); neither may be there already."""
    for path in (sheet, configuration):
        if path.exists():
            raise McdError(f"{path}: is there already, and is not overwritten; move it, or choose another --output")
    if not guess.complete:
        raise McdError(
            f"{guess.folder}: no patient has {', '.join(kind.name for kind in guess.modalities)}; add the files"
        )
    columns = {kind.name: kind for kind in guess.modalities}
    columns |= {name: kind for name, kind in (("label", guess.label), ("mask", guess.mask)) if kind}
    lines = ["\t".join(["subject", *columns])]
    for patient, subject in zip(guess.complete, subject_ids(guess.complete), strict=True):
        files = [kind.files.get(patient) for kind in columns.values()]
        lines.append("\t".join([subject, *(str(path.relative_to(guess.folder)) if path else "" for path in files)]))
    for path, text in ((sheet, "\n".join(lines) + "\n"), (configuration, _yaml(guess, sheet))):
        write_text(path, text)


def table_of(guess: Guess) -> list[tuple[str, str, str, str, str]]:
    """Return rows of (guess, pattern, files, patients without, remark) to show."""
    rows = []
    named = [(kind.name, kind) for kind in guess.modalities]
    named += [(name, kind) for name, kind in (("label", guess.label), ("mask", guess.mask)) if kind]
    for name, kind in named:
        missing = [patient for patient in guess.patients if patient not in kind.files]
        codes = ", ".join(f"{code} (in {count})" for code, count in sorted(kind.codes.items()))
        remark = (
            f"codes: {codes or 'none'}" if kind is guess.label else "reference" if kind is guess.modalities[0] else ""
        )
        rows.append((name, kind.pattern, str(len(kind.files)), _some(missing), remark))
    rows += [("left out", kind.pattern, str(len(kind.files)), "", reason) for kind, reason in guess.others]
    return rows


def subject_ids(names: list[str]) -> list[str]:
    """Return ids that may stand in file names; names that become alike get a number."""
    ids: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("_.-") or "patient"
        number, free = 2, plain
        while free in ids:
            free, number = f"{plain}_{number}", number + 1
        ids.append(free)
    return ids


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _yaml(guess: Guess, sheet: Path) -> str:
    names = [kind.name for kind in guess.modalities]
    pairs = [pair for pair in _PAIRS if set(pair.modalities) <= set(names)]
    paired = {name for pair in pairs for name in pair.modalities}
    single = [name for name in names if name not in paired]
    pairs += [Pair.of(first, second) for first, second in zip(single[::2], single[1::2], strict=False)]
    codes = sorted(guess.label.codes) if guess.label else []
    regions = {"target": codes or [1]} | ({f"code{code}": [code] for code in codes} if 1 < len(codes) < 8 else {})
    left_out = [patient for patient in guess.patients if patient not in guess.complete]
    rules = ", ".join(f"{name}: {rule}" for name, rule in guess.statistics_region.items())
    lines = [
        f"# A first configuration for {json.dumps(str(guess.folder))}, guessed by `mcd init-cohort`: correct it, then",
        "# `mcd check-cohort --config` this file. Every key is explained in docs/reference/configuration.md.",
        "",
        "cohorts:",
        f"  {cohort_name(guess.folder)}:",
    ]
    if guess.layout:
        lines.append(
            f"    # the folder also has the official layout: `layout: {guess.layout}` with `folder` needs no sheet"
        )
    if left_out:
        lines.append(f"    # left out of the sheet, for they lack a modality: {_some(left_out)}")
    lines += [
        "    layout: samplesheet",
        f"    sheet: {json.dumps(os.path.abspath(sheet))}",
        f"    folder: {json.dumps(os.path.abspath(guess.folder))} # the sheet's paths count from here",
        f"    modalities: [{', '.join(names)}] # the first is the reference: its axes are the common grid's",
        f"    pairs: [{', '.join(pairs)}] # pre-trained together: take those that look least alike (paper Sec. V-C)",
        "    regions: # name -> codes of the label map; regions may overlap",
        *(f"      {name}: {list_}" for name, list_ in regions.items()),
        "    preprocessing:",
        f"      size: {guess.size} # voxels of the crop in-plane, multiples of 16: holds what one patient showed",
        f"      spacing: {guess.spacing} # mm",
        f"      statistics_region: {{{rules}}} # nonzero, body (CT) or all; a mask takes precedence",
        "",
        "# Keys not given default to the paper's value: 64 filters, 200 epochs of pre-training, which need a GPU.",
        "# For a first try on a CPU, uncomment:",
        "# filters: 8",
        "# pretraining: {epochs: 3}",
        "# finetuning: {epochs: 10, learning_rate: 0.005, warmup_epochs: 1}",
    ]
    return "\n".join(lines) + "\n"


def cohort_name(folder: Path) -> str:
    """Return a name for the cohort that the configuration allows."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", folder.resolve().name).strip("_") or "cohort"

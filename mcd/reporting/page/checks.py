"""Preprocessed patients, to look at before anything is trained: a table to sort, and pictures that enlarge.

A page of its own, beside the pictures, and a view of the page of the whole run, which holds them.
"""

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mcd.files import read_json, write_text
from mcd.imaging.alike import empty_regions, unlike_others
from mcd.reporting.page.elements import View, data_url
from mcd.reporting.templates import render, verbatim

QC_WIDTH = 820  # pixels of a QC picture in the page of the whole run


@dataclass(frozen=True)
class CheckedCohort:
    """A cohort, as far as its preprocessing goes; `regions`: name -> codes of the label."""

    name: str
    title: str
    simulated: bool
    regions: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Check:
    """A preprocessed patient: the folder with `info.json`, the QC picture, and the contrasts of `mcd.imaging.qc`."""

    cohort: str
    subject: str
    folder: str | Path
    picture: str | Path
    contrasts: str | Path

    @property
    def is_there(self) -> bool:
        """Whether all of its files are."""
        return all(
            path.is_file() for path in (Path(self.folder, "info.json"), *map(Path, (self.picture, self.contrasts)))
        )

    @property
    def info(self) -> dict[str, Any]:
        return dict(read_json(Path(self.folder, "info.json")))


@dataclass(frozen=True)
class Absent:
    """A patient whom a page lacks; where preprocessing failed, why, and its log's address."""

    subject: str
    reason: str = ""
    log: str = ""


def write_check_page(
    cohorts: Sequence[CheckedCohort],
    checks: Sequence[Check],
    path: str | Path,
    absent: Mapping[str, Sequence[Absent]] | None = None,
) -> None:
    """Write the page; pictures are those of its folder. `absent`: cohort -> patients who are not there."""
    folder = Path(path).parent
    pictures = {(check.cohort, check.subject): Path(check.picture).relative_to(folder).as_posix() for check in checks}
    text = render(
        "page/templates/check_page.html",
        title="Preprocessed patients",
        simulated=any(cohort.simulated for cohort in cohorts),
        cohorts=_shown(cohorts, checks, pictures, absent),
        style=verbatim("tables/table.css", "page/page.css"),
        script=verbatim("page/common.js", "page/check_page.js"),
    )
    write_text(path, text, images=True)


def write_check_page_so_far(
    cohorts: Sequence[CheckedCohort], checks: Sequence[Check], path: str | Path, log_of: Callable[[str, str], str]
) -> dict[str, list[str]]:
    """Write the page of the patients who are there, where some are and some are not; return the others: cohort -> ids.

    It is dated older than any file, so that the workflow makes it again as soon as it can. `log_of`: where the log of a
    patient's preprocessing is, by cohort and id.
    """
    there = [check for check in checks if check.is_there]
    absent: dict[str, list[Absent]] = {}
    for check in checks:
        if check not in there:
            log = Path(log_of(check.cohort, check.subject))
            absent.setdefault(check.cohort, []).append(_absent(check, log, Path(path).parent))
    if not there or not absent:
        return {}
    write_check_page(cohorts, there, path, absent)
    os.utime(path, (0, 0))
    return {cohort: [patient.subject for patient in patients] for cohort, patients in absent.items()}


def _absent(check: Check, log: Path, folder: Path) -> Absent:
    """A patient who is not there, with what preprocessing last said, if it failed."""
    if Path(check.folder, "info.json").is_file() or not log.is_file():
        return Absent(check.subject)
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    reason = "".join(last).removeprefix("error: ")
    return Absent(check.subject, reason, quote(os.path.relpath(log, folder))) if reason else Absent(check.subject)


def checks_view(cohorts: Sequence[CheckedCohort], checks: Sequence[Check], room: int, folder: Path) -> View | None:
    """The view, with as many pictures as there is room for (in characters), and links to the others' files.

    `folder` is the page's; a picture that does not lie in it and has no room is left out.
    """
    if not checks:
        return None
    pictures, beside = {}, 0
    for check in checks:
        source = data_url(_small(check.picture), "jpeg")
        room -= len(source)
        if room >= 0:
            pictures[check.cohort, check.subject] = source
            continue
        beside += 1
        if Path(check.picture).is_relative_to(folder):
            pictures[check.cohort, check.subject] = Path(check.picture).relative_to(folder).as_posix()
    return View.of("checks", "Preprocessing", "checks", beside=beside, cohorts=_shown(cohorts, checks, pictures))


def patient_warnings(
    regions: Mapping[str, Sequence[int]], infos: Mapping[str, Mapping[str, Any]]
) -> Iterable[tuple[str, str]]:
    """(patient, what is wrong with it) of a cohort's `info.json`s; the patient is "" where it concerns all."""
    for unlike in [*unlike_others(infos), *empty_regions(infos, regions)]:
        yield unlike.patient, str(unlike).removeprefix(f"{unlike.patient}: ").removeprefix(f"{unlike.patient}, ")
    for patient, info in infos.items():
        yield from ((patient, sentence) for sentence in info.get("warnings", ()))


def check_address(cohort: str, patient: str) -> str:
    """Where a page shows a patient's preprocessing."""
    return f"check/{cohort}/{patient}" if patient else "checks"


def _shown(
    cohorts: Sequence[CheckedCohort],
    checks: Sequence[Check],
    pictures: Mapping[tuple[str, str], str],
    absent: Mapping[str, Sequence[Absent]] | None = None,
) -> list[dict[str, Any]]:
    """Each cohort with its warnings, who is absent, and the heads and rows of its table."""
    found = []
    for cohort in cohorts:
        own = [check for check in checks if check.cohort == cohort.name]
        infos = {check.subject: check.info for check in own}
        warned: dict[str, list[str]] = {}
        for patient, sentence in patient_warnings(cohort.regions, infos):
            warned.setdefault(patient, []).append(sentence)
        modalities = list(dict.fromkeys(name for info in infos.values() for name in info["statistics"]))
        registered = list(dict.fromkeys(name for info in infos.values() for name in info.get("registration", {})))
        found.append(
            {
                "name": cohort.name,
                "title": cohort.title,
                "simulated": cohort.simulated,
                "warnings": warned.pop("", []),
                "absent": (absent or {}).get(cohort.name, []),
                "heads": [
                    *(f"{region}, ml" for region in cohort.regions),
                    "Cut off, %",
                    *(f"Contrast, {name}" for name in modalities),
                    *(f"Similarity, {name}" for name in registered),
                ],
                "rows": [
                    {
                        "subject": check.subject,
                        "address": check_address(cohort.name, check.subject),
                        "picture": pictures.get((cohort.name, check.subject)),
                        "numbers": _numbers(check, infos[check.subject], cohort, modalities, registered),
                        "warnings": warned.get(check.subject, []),
                    }
                    for check in own
                ],
            }
        )
    return found


def _numbers(
    check: Check, info: Mapping[str, Any], cohort: CheckedCohort, modalities: Sequence[str], registered: Sequence[str]
) -> list[str]:
    """The numbers of a row as texts, "" where there is none."""
    label = info.get("label")
    ml = label["ml"] if label else {}
    held = label.get("regions", cohort.regions) if label else ()
    contrasts = read_json(check.contrasts)
    registration = info.get("registration", {})
    return [
        *(
            f"{sum(ml.get(str(code), 0) for code in codes):.1f}" if region in held else ""
            for region, codes in cohort.regions.items()
        ),
        f"{100 * label['lost']:.1f}" if label else "",
        *(f"{contrasts[name]:+.2f}" if name in contrasts else "" for name in modalities),
        *(f"{registration[name]['similarity_after']:.3f}" if name in registration else "" for name in registered),
    ]


def _small(path: str | Path) -> bytes:
    """A picture as JPEG, no wider than it is shown."""
    from PIL import Image  # not where the workflow itself runs, which writes a page without pictures in it

    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((QC_WIDTH, 10 * QC_WIDTH))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=82, optimize=True)
    return stream.getvalue()

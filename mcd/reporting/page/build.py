"""The results of a run in one HTML file that needs no other file and no network."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from mcd.diagnosis.numbers import read_diagnoses
from mcd.evaluation.scores import read_scores
from mcd.files import read_json, write_text
from mcd.reporting.claims.sentences import PRINTED
from mcd.reporting.diagnosis.page import shown_diagnoses
from mcd.reporting.page.checks import checks_view
from mcd.reporting.page.claims import claims_view
from mcd.reporting.page.contents import PageContents
from mcd.reporting.page.elements import View, json_text
from mcd.reporting.page.overview import overview
from mcd.reporting.page.patients import index_of, patient_texts, scores_of
from mcd.reporting.page.pictures import figures_view
from mcd.reporting.page.training import training_view
from mcd.reporting.templates import render, verbatim


def write_page(contents: PageContents, path: str | Path, limit: int = 19_000_000) -> None:
    """Write the page, at most about `limit` bytes long, and the folder `patients` beside it.

    If the limit is not enough, first QC pictures and then slices of the last patients are not in the page but in files beside
    it: in `patients`, which is empty otherwise, and where the pictures are.
    """
    style = verbatim("tables/table.css", "diagnosis/diagnosis.css", "page/page.css")
    script = verbatim("page/common.js", "page/page.js")
    all_scores = read_scores(contents.scores)
    views = [
        overview(contents, all_scores),
        *_table_views(contents),
        figures_view(contents),
        claims_view(contents, contents.claims) if contents.claims is not None else None,
        training_view(contents),
        _diagnosis(contents),
    ]
    room = limit - len(style) - len(script) - sum(len(view.content) for view in views if view)
    scores = scores_of(all_scores)
    patients = patient_texts(contents, scores, room, Path(path).parent / "patients")
    views += [
        View.of("patients", "Patients", "patients"),
        checks_view(contents.cohorts, contents.checks, room - sum(map(len, patients.values())), Path(path).parent),
        _configuration(contents),
    ]
    text = render(
        "page/templates/page.html",
        title=contents.title,
        simulated=any(cohort.simulated for cohort in contents.cohorts),
        style=style,
        script=script,
        views=[view for view in views if view],
        data={
            "page-data": json_text(index_of(contents, scores)),
            **{"/".join(patient): text for patient, text in patients.items()},
        },
    )
    write_text(path, text, images=True)


def _table_views(contents: PageContents) -> Iterator[View]:
    """One view per table; the numbers behind a figure are shown below the figure instead."""
    for name, path in contents.tables.items():
        if not name.startswith("fig"):
            # numbered as in the paper, or by its name: `table9`, `table_fusion`
            words = f"Table {PRINTED[name]}" if name in PRINTED else name.removeprefix("table").strip("_").capitalize()
            yield View.of(name, words, "table", content=read_json(path))


def _diagnosis(contents: PageContents) -> View | None:
    """The diagnosis of every pre-training, as on its own page."""
    if contents.diagnosis is None:
        return None
    shown = shown_diagnoses(
        list(read_diagnoses([contents.diagnosis])),
        contents.pretrainings,
        {cohort.name: cohort.title for cohort in contents.cohorts},
        [cohort.name for cohort in contents.cohorts if cohort.simulated],
    )
    return View.of("diagnosis", "Diagnosis", "diagnosis", **shown)


def _configuration(contents: PageContents) -> View:
    text = yaml.safe_dump(
        dict(contents.configuration), sort_keys=False, default_flow_style=None, allow_unicode=True, width=110
    )
    return View.of("configuration", "Configuration", "configuration", text=text)

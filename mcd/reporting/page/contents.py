"""What the page is built from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcd.reporting.page.checks import Check, CheckedCohort


@dataclass(frozen=True)
class PageCohort(CheckedCohort):
    """A cohort, as described on the page."""

    subjects: int
    modalities: Sequence[str]
    shards: Sequence[str | Path]
    splits: Sequence[str | Path] = ()  # of every training
    facts: Mapping[str, str] = field(default_factory=dict)  # further rows of its description: heading -> words


@dataclass(frozen=True)
class Prediction:
    """A run of the first draw of labels, whose outlines can be shown: `method` is its key, `path` its predictions file."""

    cohort: str
    modality: str
    method: str
    ratio: float
    seed: int
    path: str | Path
    fold: int = 0


@dataclass(frozen=True)
class PageContents:
    """What goes into the page. Paths are read when it is written."""

    title: str
    cohorts: Sequence[PageCohort]
    methods: Mapping[str, Mapping[str, str]]  # key in the score files -> "label", "group"
    scores: Sequence[str | Path]
    predictions: Sequence[Prediction]
    ratio: float  # label ratio whose outlines and scores are shown first, with the first seed
    draws: int = 1  # of the labelled patients, for each seed
    reference: str | None = (
        None  # key of the method whose outlines are shown first, and by whose scores patients are sorted
    )
    tables: Mapping[str, str | Path] = field(default_factory=dict)  # name -> JSON of `tables.content.TableContent`
    pictures: Mapping[str, str | Path] = field(default_factory=dict)  # name -> PNG
    captions: Mapping[str, str] = field(default_factory=dict)  # name of a picture -> its caption
    claims: str | Path | None = None
    diagnosis: str | Path | None = None  # CSV of all pre-trainings' diagnoses
    pretrainings: Mapping[str, str] = field(
        default_factory=dict
    )  # those that are diagnosed -> what the reader calls them
    absent: Sequence[str] = ()  # tables and figures that are possible but not requested in `report`
    losses: Mapping[str, str | Path] = field(default_factory=dict)  # a training, as the reader knows it -> its losses
    checks: Sequence[Check] = ()
    methods_text: str | Path | None = None  # of `mcd.reporting.methods_text`; shown, and linked by its name
    benchmarks: str | Path | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def cohort_title(self, name: str, default: str | None = None) -> str:
        """A cohort's title; for one that is not on the page, `default`, or else its name."""
        titles = {cohort.name: cohort.title for cohort in self.cohorts}
        return titles.get(name, name if default is None else default)

"""A cohort's part of the configuration."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from mcd.cohorts import LAYOUTS, find_layout, simulated_layouts
from mcd.imaging.options import Code, PreprocessOptions
from mcd.pair import Pair
from mcd.paths import of_configuration
from mcd.section import NUMBER, Count, Number, Positive, Section, Whole


def unique(values: list[Any]) -> list[Any]:
    """The values; ValueError where one appears twice."""
    for value, times in Counter(values).items():
        if times > 1:
            raise ValueError(f"{value} appears twice; name it once")
    return values


def _unique_pairs(pairs: list[Pair]) -> list[Pair]:
    for modalities, times in Counter(frozenset(pair.modalities) for pair in pairs).items():
        if times > 1:
            raise ValueError(f"{'-'.join(sorted(modalities))} appears twice, in whatever order; name it once")
    return pairs


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


def _share(ratio: Any) -> Any:
    """Refuse what can only be meant in per cent."""
    if isinstance(ratio, int | float) and not isinstance(ratio, bool) and 1 < ratio <= 100:
        raise ValueError(f"is more than all labels; if {ratio:g} % is meant, give {ratio / 100:g}")
    return ratio


Ratio = Annotated[float, Field(gt=0, le=1), NUMBER, BeforeValidator(_share)]
Codes = Annotated[list[Code], Field(min_length=1), AfterValidator(unique)]
Spacing = tuple[Positive, Positive, Positive]

MAX_REGIONS = 8
"""A stored prediction has one bit per region."""

SIZE_FACTOR = 16
"""The U-Net halves a slice four times."""


class Simulation(Section):
    """A simulated cohort's size and quality."""

    subjects: Whole = Field(..., ge=2, description="how many patients")
    labelled: Whole | None = Field(
        None, ge=0, description="how many of them have a label, the first ones; null for all. The others only train"
    )
    seed: Whole = Field(0, ge=0, description="another seed gives other patients")
    noise: Number = Field(1.0, ge=0, description="factor on the scanners' noise")
    spacing: dict[str, Spacing] = Field(
        default_factory=dict,
        description=(
            "scanner -> (x, y, z) mm of the raw files, instead of the official cohorts': "
            "`MR` for `brats2018`, `CT` and `PET` for `hecktor2020`"
        ),
    )

    @model_validator(mode="after")
    def _labels_somebody_there(self) -> Self:
        if self.labelled is not None and self.labelled > self.subjects:
            raise ValueError(f"labelled: {self.labelled} of {self.subjects} subjects; give at most all of them")
        return self


class BatchSizes(Section):
    """Slices in a step (paper Sec. V)."""

    pretraining: Whole = Field(36, ge=2, description="slices (pairs) in a step (paper: 48 (HECKTOR), 36 (BraTS))")
    finetuning: dict[Ratio, Count] = Field(
        default_factory=lambda: {0.05: 56, 0.1: 70},
        min_length=1,
        description=(
            "label ratio -> slices in a step. A ratio that is not named takes the next lower one's, "
            "or the lowest (paper: 31 and 90 (HECKTOR), 56 and 70 (BraTS); for other ratios our "
            "choice)"
        ),
    )

    def at(self, ratio: float) -> int:
        """The fine-tuning batch size of a label ratio."""
        return at_ratio(self.finetuning, ratio)


def at_ratio(values: Mapping[float, int], ratio: float) -> int:
    """The value for any label ratio, from values of some: that of the next lower one, or else of the lowest."""
    below = [known for known in values if known <= ratio + 1e-9]
    return values[max(below) if below else min(values)]


class Cohort(Section):
    """One cohort: where its raw files are, what they contain, and how they are processed."""

    layout: str = Field(..., description=f"how the raw files are arranged: {', '.join(LAYOUTS)}")
    folder: str | None = Field(
        None,
        description=(
            "of the raw files; with `samplesheet`, what the sheet's paths are relative to (default: its own folder); "
            "a relative one is looked up as `sheet` is"
        ),
    )
    sheet: str | None = Field(
        None,
        description=(
            "the table of patients, for `samplesheet`; a relative path is resolved against the working "
            "folder, else the Snakefile's"
        ),
    )
    simulate: Simulation | None = Field(
        None, description="write the raw files first, into `data/<name>`. In place of `folder`"
    )
    title: str | None = Field(None, description="what tables call the cohort; null for its name")
    modalities: Annotated[list[Name], AfterValidator(unique)] = Field(
        ...,
        min_length=1,
        description=(
            "which to use. The first is the reference: its axes are the common grid's, and label and "
            "mask are in its world coordinates"
        ),
    )
    pairs: Annotated[list[Pair], AfterValidator(_unique_pairs)] = Field(
        default_factory=list,
        description=(
            "modalities that are pre-trained together, such as `CT-PET`. A modality uses the first pair that "
            "contains it. The three pairings of Fig. 8 are three values of this key; `mcd grouping` "
            "ranks the possible ones (paper: CT-PET, T1CE-T2, FLAIR-T1)"
        ),
    )
    regions: dict[Name, Codes] = Field(
        ...,
        min_length=1,
        max_length=MAX_REGIONS,
        description=(
            "region -> the label codes that make it up; regions may overlap, at most eight (paper: "
            "WT, TC and ET of BraTS; one number per modality is their mean, which is our reading)"
        ),
    )
    preprocessing: PreprocessOptions
    test: Number = Field(
        0.2,
        gt=0,
        description=(
            "patients held out: a share below 1, or how many. A sheet's `split` column takes "
            "precedence (paper: 42 of 210 (BraTS), 21 of 201 (HECKTOR))"
        ),
    )
    folds: Whole | None = Field(
        None,
        ge=2,
        description=(
            "K-fold cross-validation in place of `test`, for a cohort too small for one split: every patient with a label "
            "tests in one of K folds, and trains in the others. Each fold has a pre-training and fine-tunings of its own, so "
            "a run costs K times as much. Null: one split (paper)"
        ),
    )
    validation: Number = Field(
        0,
        ge=0,
        description=(
            "patients by whom settings are chosen, who neither train nor test: a share of all below 1, or how many, taken from "
            "those who would train; `results/validation.csv` has their scores. A sheet's `split` column takes precedence where "
            "it names some (our choice: none, as in the paper)"
        ),
    )
    test_centre: Annotated[list[str], AfterValidator(unique)] = Field(
        default_factory=list,
        description=(
            "test on all patients of these centres, as the sheet's column `centre` calls them, and train on those of the "
            "others, in place of `test`: HECKTOR's own test is on unseen hospitals. A patient of theirs without a label is "
            "left out (our choice: none, as in the paper)"
        ),
    )
    subjects_per_shard: Count = Field(
        16, description="patients in one HDF5 file (our choice: a few files of moderate size, written in parallel)"
    )
    batch_size: BatchSizes = Field(default_factory=BatchSizes)
    paper_dataset: Literal["hecktor", "brats2018"] | None = Field(
        None,
        description=(
            "set if the cohort *is* the paper's: its printed numbers are then "
            "shown beside yours. Refused for a simulated cohort"
        ),
    )

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            raise ValueError(f"unknown; use one of {', '.join(LAYOUTS)}")
        return layout

    @field_validator("test", "validation")
    @classmethod
    def _share_or_count(cls, value: float) -> float:
        if value >= 1 and value != int(value):
            raise ValueError("give a share below 1, or a whole number of patients")
        return value

    @field_validator("preprocessing")
    @classmethod
    def _fits_the_unet(cls, preprocessing: PreprocessOptions) -> PreprocessOptions:
        if any(side % SIZE_FACTOR for side in preprocessing.size):
            raise ValueError(
                f"size: both sides must be multiples of {SIZE_FACTOR}, since the U-Net halves them four times"
            )
        return preprocessing

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        if self.simulate:
            simulator = find_layout(self.layout).simulator
            if simulator is None:
                raise ValueError(f"only {' and '.join(simulated_layouts())} can be simulated")
            if self.folder or self.sheet or self.paper_dataset:
                raise ValueError("a simulated cohort has no folder, no sheet and is not the paper's: drop that key")
            strangers = set(self.simulate.spacing) - set(simulator.scanners)
            if strangers:
                raise ValueError(f"simulate.spacing: {', '.join(strangers)} is not a scanner of {self.layout}")
        elif find_layout(self.layout).needs_sheet:
            if not self.sheet:
                raise ValueError(f"layout {self.layout} needs the key sheet")
        elif not self.folder or self.sheet:
            raise ValueError(f"layout {self.layout} needs the key folder (and no sheet)")
        return self

    @model_validator(mode="after")
    def _decides_once_who_tests(self) -> Self:
        if self.folds:
            for key in ("test", "test_centre"):
                if key in self.model_fields_set and getattr(self, key):
                    raise ValueError(
                        f"folds: every patient tests in one of them, and `{key}` says who does; remove one of the two"
                    )
        return self

    @model_validator(mode="after")
    def _names_its_modalities(self) -> Self:
        for pair in self.pairs:
            if not set(pair.modalities) <= set(self.modalities):
                raise ValueError(f"pairs: {pair} does not join two of {', '.join(self.modalities)}")
        try:
            self.preprocessing.check_modalities(self.modalities)
        except ValueError as error:
            raise ValueError(f"preprocessing.{error}") from None
        return self

    @property
    def registered(self) -> list[str]:
        """The modalities that are registered to the reference."""
        return [name for name in self.modalities[1:] if self.preprocessing.registration_of(name) != "off"]

    @property
    def raw_folder(self) -> Path | None:
        """As the path says from the working folder, else beside the workflow."""
        return of_configuration(self.folder) if self.folder else None

    @property
    def sheet_path(self) -> Path | None:
        """Likewise."""
        return of_configuration(self.sheet) if self.sheet else None

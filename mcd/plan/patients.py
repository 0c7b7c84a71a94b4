"""A cohort's patients, and what its splits are drawn from."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcd.cohorts.find import find_subjects
from mcd.cohorts.simulated import simulated_subjects
from mcd.config import Config
from mcd.errors import McdError
from mcd.methods import learns_from_unlabelled
from mcd.plan.comparison import Comparison, cross_validated
from mcd.slices.splits import Origin, Split
from mcd.subject import Subject


def patients(config: Config, cohort: str, data: str | Path) -> list[Subject]:
    """The patients that are on disk, or those that will be simulated into the folder `data`."""
    settings = config.cohorts[cohort]
    if settings.simulate:
        simulation = settings.simulate
        labelled = simulation.subjects if simulation.labelled is None else simulation.labelled
        subjects = simulated_subjects(
            settings.layout, data, settings.modalities, simulation.subjects, seed=simulation.seed
        )
        return [*subjects[:labelled], *(replace(subject, label=None) for subject in subjects[labelled:])]
    found = find_subjects(settings.layout, settings.raw_folder, settings.sheet_path, settings.modalities)
    for error, _ in unknown_regions(found, settings.regions):
        raise McdError(f"cohort {cohort}: {error}")
    return found


def unknown_regions(subjects: Iterable[Subject], regions: Collection[str]) -> Iterator[tuple[McdError, str]]:
    """What is wrong with patients whose labels are said to hold a region that is none of the cohort's, and their ids."""
    for subject in subjects:
        if strangers := [name for name in subject.regions or () if name not in regions]:
            reason = f"the label of {subject.id} is said to hold {strangers[0]}, and there are {', '.join(regions)}"
            yield McdError(f"{reason}; correct the column regions"), subject.id


def origin(config: Config, cohort: str, subjects: Iterable[Subject]) -> Origin:
    """What the splits of a cohort with these patients are drawn from; `McdError` where `test_centre` does not fit them."""
    return Origin.of(cohort, subjects=subjects, **parts(config, cohort))


def parts(config: Config, cohort: str) -> dict[str, Any]:
    """What the configuration says of who tests and validates: arguments of `Origin.of`."""
    settings = config.cohorts[cohort]
    test, folds = (0, settings.folds) if settings.folds else (settings.test, 0)
    return {"test": test, "test_centre": settings.test_centre, "validation": settings.validation, "folds": folds}


def check_labels(cohort: str, split: Split) -> None:
    """Check that somebody's label can be learnt from, and others' tested on; `McdError` where no patient has one."""
    if not split.test:
        raise McdError(
            f"{cohort}: no patient has a label, so nothing can be fine-tuned or scored; add labels, or ask for what needs "
            "none: snakemake pretrain"
        )


def check_validation(cohort: str, split: Split) -> None:
    """Check that somebody validates; `McdError` where nobody does."""
    if not split.validation:
        raise McdError(
            f"{cohort}: has no validation patient; set `validation`, and redraw its splits by `mcd split redraw`, or write "
            "validation into the sheet's column split"
        )


def validated(config: Config, patients: Mapping[str, Iterable[Subject]]) -> list[str]:
    """The cohorts that have validation patients."""
    return [
        name
        for name, cohort in config.cohorts.items()
        if cohort.validation or any(subject.split == "validation" for subject in patients[name])
    ]


def check_unlabelled(cohort: str, split: Split, method: str, ratio: float) -> None:
    """Check that a semi-supervised method finds patients whose labels it does not see; `McdError` where there are none."""
    if learns_from_unlabelled(method) and not split.without_labels(ratio):
        raise McdError(
            f"{cohort}: a label ratio of {ratio:g} leaves {method} no training patient without a label to learn from; leave "
            "out one of the two, or add patients without a label"
        )


def traits(patients: Mapping[str, Sequence[Subject]]) -> dict[str, dict[str, dict[str, str]]]:
    """`centre` and `scanner`, where any patient has one -> cohort -> patient -> what it is."""
    found = {
        trait: {
            cohort: {subject.id: value for subject in subjects if (value := getattr(subject, trait))}
            for cohort, subjects in patients.items()
        }
        for trait in ("centre", "scanner")
    }
    return {trait: values for trait, values in found.items() if any(values.values())}


def noted(comparison: Comparison, config: Config, patients: Mapping[str, Sequence[Subject]]) -> Comparison:
    """A table that also says of its cohorts how many patients have no label, or one of some regions."""
    sentences = cross_validated(config, comparison.spec.columns)
    for cohort in dict.fromkeys(cohort for cohort, _ in comparison.spec.columns):
        without = sum(subject.label is None for subject in patients[cohort])
        if without:
            sentences.append(
                f"{config.cohorts[cohort].title or cohort}: {without} of {len(patients[cohort])} patients have no label. They "
                "pre-train, and are unlabelled data of the semi-supervised methods; label ratios are of the others."
            )
        partly = sum(subject.regions is not None for subject in patients[cohort])
        if partly:
            sentences.append(
                f"{config.cohorts[cohort].title or cohort}: {partly} of {len(patients[cohort])} patients have a label of some "
                "regions only. The others are left out of losses and of their scores: a mean over their regions is over fewer."
            )
    spec = replace(comparison.spec, notes=[*comparison.spec.notes, *sentences])
    return replace(comparison, spec=spec)

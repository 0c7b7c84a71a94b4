"""The text, in Markdown with citations as pandoc reads them, and its BibTeX file.

What was asked for is said from the configuration; patients, labels, lengths, devices and versions of the code from what the run
left: splits, scores and losses. Where these differ between trainings, the text gives the range.
"""

import csv
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from mcd.csv_files import read_csv
from mcd.evaluation.metrics import METRICS
from mcd.evaluation.score_rows import VERSION
from mcd.evaluation.scores import read_scores
from mcd.files import write_text
from mcd.methods import METHODS, PRETRAININGS, needs_three
from mcd.reporting.methods_text.citations import METRIC_CITED, PAPER, bibliography, cite, cited, of_layout, of_method
from mcd.slices.splits import Split, read_split
from mcd.version import code_version, lineage

_Losses = Mapping[str, Sequence[Sequence[Mapping[str, str]]]]
"""Pre-training -> the rows of the losses of each of its trainings."""

REFERENCE = "multi_condos"
INTERPOLATIONS = {"nearest": "nearest-neighbour", "linear": "linear", "bspline": "B-spline"}
REGIONS = {"nonzero": "the non-zero voxels", "body": "the body", "all": "all voxels"}


@dataclass(frozen=True)
class MethodsCohort:
    """A cohort as the text describes it; `settings` is its part of the configuration, `splits` the files of all trainings."""

    title: str
    settings: Mapping[str, Any]
    subjects: int
    unlabelled: int
    splits: Sequence[str | Path]
    masked: int = 0  # patients with a mask, over which their intensities are normalised
    boxed: bool = False  # whether patients have boxes, to which they are cropped
    citation: str | None = None  # of fetched data, in words


@dataclass(frozen=True)
class MethodsFacts:
    """What the text is made from. Paths are read when it is written."""

    methods: Sequence[str]  # keys, in the order of the tables
    cohorts: Sequence[MethodsCohort]
    ratios: Sequence[float]
    seeds: int
    draws: int
    filters: int
    pretrainings: Mapping[str, Mapping[str, Any]]  # of one cohort and pair each: `PretrainingTask`
    finetuning: Mapping[str, Any]  # its part of the configuration
    pretraining_losses: Mapping[str, Sequence[str | Path]]  # pre-training -> the losses of its trainings
    scores: Sequence[str | Path]


def write_methods(facts: MethodsFacts, out_text: str | Path, out_references: str | Path) -> None:
    """Write the text and the references that it cites."""
    text = methods_text(facts)
    write_text(out_text, text)
    write_text(out_references, bibliography(cited(text)))


def methods_text(facts: MethodsFacts) -> str:
    """The text."""
    scores = read_scores(facts.scores)
    losses = {
        name: [list(csv.DictReader(read_csv(path))) for path in paths]
        for name, paths in facts.pretraining_losses.items()
    }
    parts = {
        "Data": [_cohort(cohort, facts) for cohort in facts.cohorts],
        "Pre-processing": list(_preprocessing(facts)),
        "Methods": list(_methods(facts)),
        "Training": list(_training(facts, scores, losses)),
        "Evaluation": [_evaluation(facts, scores)],
        "Software": [_software(scores, losses)],
    }
    head = (
        "# Methods\n\nWritten from the configuration and the files of this run; copy, change and check it. Citations are "
        "pandoc’s, with the entries in methods.bib.\n"
    )
    body = "\n".join(f"## {title}\n\n" + "\n\n".join(paragraphs) + "\n" for title, paragraphs in parts.items())
    return f"{head}\n{body}"


# --- data ---


def _cohort(cohort: MethodsCohort, facts: MethodsFacts) -> str:
    settings, simulated = cohort.settings, cohort.settings["simulate"] is not None
    keys = of_layout(settings["layout"])
    if simulated:
        whose = f" (patients simulated by this software in the file layout of {settings['layout']}{_after(keys)}; no real ones)"
    elif cohort.citation:
        whose = f" ({cohort.citation})"
    else:
        whose = f" {cite(*keys)}" if keys else " (**cite the data here**)"
    splits = [read_split(path) for path in cohort.splits]
    train, test = ([len(getattr(split, part)) for split in splits] for part in ("train", "test"))
    regions = ", ".join(f"{name} (label {' + '.join(map(str, codes))})" for name, codes in settings["regions"].items())
    kind = "simulated patient" if simulated else "patient"
    sentences = [
        f"{cohort.title}{whose}: {_count([cohort.subjects], kind)} with {_and(settings['modalities'])}; segmented: {regions}.",
        f"{_crossed(settings)}{_count(train, kind)} trained and {_count(test, kind)} tested{_drawn(settings, splits, facts)}.",
    ]
    if cohort.unlabelled:
        sentences.append(f"{cohort.unlabelled} have no label, and were used for training without labels alone.")
    if validation := [len(split.validation) for split in splits if split.validation]:
        sentences.append(
            f"{_count(validation, kind)} neither trained nor tested: they were kept for choosing settings."
        )
    labelled = [
        f"{100 * ratio:g} % ({_span([len(split.labelled(ratio)) for split in splits])})" for ratio in facts.ratios
    ]
    sentences.append(f"Of the training patients’ labels, {_and(labelled)} were used.")
    return " ".join(sentences)


def _crossed(settings: Mapping[str, Any]) -> str:
    """What precedes the numbers of a cohort with folds."""
    if not (folds := settings["folds"]):
        return ""
    return (
        f"Evaluation was by {folds}-fold cross-validation {cite('stone1974')}: every patient with a label tested in one of "
        f"{folds} folds, by networks that neither pre-trained nor trained on it. In a fold, "
    )


def _drawn(settings: Mapping[str, Any], splits: Sequence[Split], facts: MethodsFacts) -> str:
    words = [f"those of {_and(settings['test_centre'])}" if settings["test_centre"] else "split by patient"]
    folds = settings["folds"]
    if folds and facts.seeds > 1:
        words.append(f"divided again for each of {facts.seeds} seeds")
    elif len(splits) > 1 and not folds:
        same = len({tuple(sorted(split.test)) for split in splits}) == 1
        words.append("the same for every training" if same else "not the same for every training")
    if len(splits) > (folds or 1):
        draws = (
            f"{facts.draws} times for each of {facts.seeds} seeds"
            if facts.draws > 1
            else f"for each of {facts.seeds} seeds"
        )
        words.append(f"whose labels are used is drawn {draws}{' and fold' if folds else ''}")
    return f" ({'; '.join(words)})"


def _preprocessing(facts: MethodsFacts) -> Iterable[str]:
    for cohort in facts.cohorts:
        options, modalities = cohort.settings["preprocessing"], cohort.settings["modalities"]
        low, high = options["percentiles"]
        rules = options["statistics_region"]
        regions = {name: rules if isinstance(rules, str) else rules.get(name, "nonzero") for name in modalities}
        over = _and(
            f"{REGIONS.get(rule, rule)} of {_and(name for name, other in regions.items() if other == rule)}"
            for rule in dict.fromkeys(regions.values())
        )
        if cohort.masked:
            over += f" (over the mask of each of {cohort.masked} patients that have one)"
        centre = (
            "the patient’s box"
            if cohort.boxed
            else f"the {'tissue' if options['centre'] == 'region' else 'image'}’s centre"
        )
        spacing = " × ".join(f"{side:g}" for side in options["spacing"])
        kind = INTERPOLATIONS[options["interpolation"]]
        yield (
            f"{cohort.title}: images were resampled to {spacing} mm ({kind} interpolation; labels nearest-neighbour) and "
            f"cropped to slices of {' × '.join(map(str, options['size']))} pixels around {centre}. Intensities were clipped at "
            f"the percentiles {low:g} and {high:g} and z-scored over {over}; all else was set to 0."
            + _registered(options, modalities)
        )


def _registered(options: Mapping[str, Any], modalities: Sequence[str]) -> str:
    kinds = options["registration"]
    found = {name: kinds if isinstance(kinds, str) else kinds.get(name, "off") for name in modalities[1:]}
    words = [f"{name} ({kind})" for name, kind in found.items() if kind != "off"]
    if not words:
        return " No image was registered: modalities are as aligned as their files have them."
    return f" Registered to {modalities[0]} by mutual information: {_and(words)} {cite('lowekamp2013simpleitk')}."


# --- methods and trainings ---


def _methods(facts: MethodsFacts) -> Iterable[str]:
    groups: dict[str, list[str]] = {}
    for method in facts.methods:
        groups.setdefault(METHODS[method].group, []).append(of_method(method))
    listed = "; ".join(f"{group[0].lower()}{group[1:]}: {_and(methods)}" for group, methods in groups.items())
    yield (
        f"All methods train the same two-dimensional U-Net {cite('ronneberger2015unet')} with {facts.filters} filters at full "
        f"resolution, one for each modality, on the same slices and patients, in the implementation of {cite(PAPER)}; "
        f"{listed}. Baselines are adapted to this network; differences from their papers are listed in the software’s "
        "documentation."
    )
    if facts.pretrainings:
        handed: dict[str, list[str]] = {}
        for name in facts.pretrainings:
            handed.setdefault(PRETRAININGS[name].hands_back, []).append(_label(name, facts))
        words = "; ".join(f"{layers} of {_and(labels)}" for layers, labels in handed.items())
        yield (
            f"Pre-training, on the training patients’ slices without labels, hands on: {words}. The rest starts from random "
            "weights."
        )
    if together := [METHODS[method].label for method in facts.methods if needs_three(method)]:
        yield (
            f"{_and(together)}, which is not in the paper, is pre-trained on all M modalities of a cohort at once, on a pair "
            "of them in each step, in as many steps as M / 2 pairs take together."
        )


def _training(facts: MethodsFacts, scores: pd.DataFrame, losses: _Losses) -> Iterable[str]:
    if facts.pretrainings:
        yield (
            f"Pre-trainings used Adam {cite('kingma2015adam')}. Batches hold slices, or pairs of slices of methods that see "
            "both modalities; steps are those that were made, over all cohorts and seeds.\n\n"
            "| Pre-training | Epochs | Steps | Batch | Learning rate | Weight decay |\n|---|---|---|---|---|---|\n"
            + "\n".join(_pretraining(name, task, facts, losses) for name, task in facts.pretrainings.items())
        )
    options = facts.finetuning
    decay = (
        "decoupled weight decay " + cite("loshchilov2019adamw")
        if options["weight_decay_form"] == "decoupled"
        else "weight decay"
    )
    transferred = (
        f" Transferred layers learnt at {options['transferred_rate']:g} times that rate."
        if options["transferred_rate"] != 1
        else ""
    )
    augmentation = options["augmentation"]
    changes = [
        *(["mirrored"] if augmentation["mirror"] else []),
        f"rotated by up to {augmentation['rotation']:g}°",
        f"scaled by up to {100 * augmentation['scale']:g} %",
        f"shifted by up to {100 * augmentation['shift']:g} %",
    ]
    yield (
        f"Fine-tuning, training from scratch and semi-supervised training used Adam {cite('kingma2015adam')} with a learning "
        f"rate of {options['learning_rate']:g}, {_warmup(options)}, and {decay} of {options['weight_decay']:g}, for "
        f"{_count([options['epochs']], 'epoch')}.{transferred} Slices were at random {_and(changes)}, and changed in intensity "
        f"(standard deviation {augmentation['intensity']:g}). The loss on labels was the sum of soft Dice "
        f"{cite('milletari2016vnet')} over the batch, of regions that it holds, and binary cross-entropy; semi-supervised "
        f"methods add their own. Outputs began at {options['prior_probability']:g} everywhere by their bias, after "
        f"{cite('lin2017focal')}. The last state was tested, not one chosen by its scores. "
        f"{_lengths(facts, scores)}"
    )


def _label(pretraining: str, facts: MethodsFacts) -> str:
    """What a pre-training is called: as the first method that uses it."""
    return next(METHODS[method].label for method in facts.methods if METHODS[method].pretraining == pretraining)


def _pretraining(name: str, task: Mapping[str, Any], facts: MethodsFacts, losses: _Losses) -> str:
    """A row of the table of pre-trainings."""
    steps, epochs = [], []
    for rows in losses[name]:
        of_modality = [list(own) for _, own in groupby(rows, key=lambda row: row.get("modality", ""))]
        epochs += [len(own) for own in of_modality]
        steps += [sum(int(row["steps"]) for row in own) for own in of_modality]
    sizes = sorted({cohort.settings["batch_size"]["pretraining"] for cohort in facts.cohorts})
    options = task["options"]
    cells = [
        _label(name, facts),
        _span(epochs),
        _span(steps),
        _span(sizes),
        f"{options['learning_rate']:g}",
        f"{options['weight_decay']:g}",
    ]
    return f"| {' | '.join(cells)} |"


def _warmup(options: Mapping[str, Any]) -> str:
    words = f"a warm-up of {_count([options['warmup_epochs']], 'epoch')}" if options["warmup_epochs"] else "no warm-up"
    return f"{words} and a {'cosine decay to 0' if options['decay'] == 'cosine' else 'constant rate'}"


def _lengths(facts: MethodsFacts, scores: pd.DataFrame) -> str:
    """How long trainings were, as they noted it down."""
    known = scores.dropna(subset=["steps", "targets_seen"])
    words = [
        f"{100 * ratio:g} % of the labels {_span(own['targets_seen'])} labelled slices with a target, in "
        f"{_span(own['steps'])} steps"
        for ratio, own in known.groupby("label_ratio")
    ]
    return f"A training saw at {'; at '.join(words)}." if words else ""


# --- evaluation ---


def _evaluation(facts: MethodsFacts, scores: pd.DataFrame) -> str:
    metrics = [f"{metric.definition}{_after(METRIC_CITED.get(metric.key, ()))}" for metric in METRICS]
    study = cite("dorfman1992", "hillis2007")
    said = [
        f"Each test patient’s volume was scored by {'; '.join(metrics)}. A number is the mean over the test patients of a "
        "patient’s mean over its regions; undefined scores (empty ground truth or prediction) are left out."
    ]
    reference = METHODS[REFERENCE].label
    folds = any(cohort.settings["folds"] for cohort in facts.cohorts)
    each = " of each fold" if folds else ""
    if folds:
        said.append(
            "With cross-validation, the networks of all folds count together as one training, since only together do they "
            "score every patient."
        )
    if facts.seeds > 1:
        said.append(
            f"Every training was repeated with {facts.seeds} seeds. Intervals (95 %) and tests are over trainings and "
            f"patients, as in studies of several readers {study}, with the degrees of freedom of {cite('cochran1964')}."
        )
        if REFERENCE in facts.methods:
            said.append(
                f"Methods were compared with {reference} patient by patient, in two-sided tests corrected for the methods of a "
                f"column and label ratio {cite('holm1979')}."
            )
    elif facts.draws > 1:
        said.append(
            f"Methods were trained once for each of {facts.draws} draws of the labelled patients, on one pre-training{each}; "
            f"intervals (95 %) are over draws and patients {study}, and nothing is known of another pre-training."
        )
    else:
        said.append(
            f"Every method was trained once{' in each fold' if folds else ''}; intervals (95 %, Student’s t) are over the "
            "patients of this one training, of another one nothing is known, and no method was tested to be better than "
            "another."
        )
    if any(cohort.settings["simulate"] for cohort in facts.cohorts):
        simulated = [cohort.title for cohort in facts.cohorts if cohort.settings["simulate"]]
        said.append(f"The patients of {_and(simulated)} are simulated: their numbers say nothing about real patients.")
    return " ".join(said)


def _software(scores: pd.DataFrame, losses: _Losses) -> str:
    devices = {
        row["device"] for trainings in losses.values() for rows in trainings for row in rows if row.get("device")
    }
    made = lineage(*scores[VERSION]) or code_version()
    libraries = [
        f"{_version('torch', 'PyTorch')} {cite('paszke2019pytorch')}",
        f"{_version('SimpleITK')} {cite('lowekamp2013simpleitk')}",
        f"{_version('snakemake', 'Snakemake')} {cite('molder2021snakemake')}",
    ]
    return (
        f"mcd {_and(made.split())} {cite(PAPER)}, with Python {platform.python_version()}, {_and(libraries)} (of the "
        "environment that wrote this text)." + (f" Pre-trainings ran on {_and(sorted(devices))}." if devices else "")
    )


# --- words ---


def _version(library: str, name: str = "") -> str:
    """A library with its version, where this environment has it."""
    try:
        return f"{name or library} {version(library)}"
    except PackageNotFoundError:
        return name or library


def _and(words: Iterable[str]) -> str:
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _span(numbers: Iterable[float]) -> str:
    """One number, or the smallest and the largest."""
    found = sorted({int(number) for number in numbers})
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def _count(numbers: Sequence[int], noun: str) -> str:
    return f"{_span(numbers)} {noun}{'' if set(numbers) == {1} else 's'}"


def _after(keys: Sequence[str]) -> str:
    return f" {cite(*keys)}" if keys else ""

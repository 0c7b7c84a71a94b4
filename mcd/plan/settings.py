"""The settings of each stage: everything in the configuration that changes its result."""

from typing import Any

from mcd.cohorts.sources import read_source
from mcd.config import Config
from mcd.errors import McdError
from mcd.methods import METHODS, PRETRAININGS
from mcd.pair import modalities_of
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.registry import options_class
from mcd.segmentation.options import FinetuningTask


def pretraining_task(config: Config, cohort: str, pair: str, pretraining: str, seed: int) -> PretrainingTask:
    """Everything in the configuration that changes what a pre-training learns.

    Args:
        pair: what it sees, as `mcd.plan.runs.pretrained_on` has it.

    Raises:
        McdError: if the configured options leave an ablation without a loss; for more or fewer modalities than it sees.
    """
    modalities, together = modalities_of(pair), PRETRAININGS[pretraining].together
    if together != (len(modalities) > 2):
        wanted = "more than two modalities, such as T1CE-T2-FLAIR" if together else "a pair, such as CT-PET"
        raise McdError(f"pair {pair}: {pretraining} pre-trains on {wanted}; name those")
    algorithm, options = PRETRAININGS[pretraining].algorithm, config.pretraining_options(pretraining)
    return PretrainingTask(
        algorithm=algorithm,
        options=options_class(algorithm).read(options, f"algorithms.{algorithm}, for {pretraining}").model_dump(),
        modalities=modalities,
        filters=config.filters,
        epochs=config.pretraining.epochs,
        steps_per_epoch=config.pretraining.steps_per_epoch,
        batch_size=config.cohorts[cohort].batch_size.pretraining,
        sees=config.pretraining.sees,
        seed=seed,
    )


def finetuning_task(config: Config, cohort: str, method: str, modality: str, ratio: float, seed: int) -> FinetuningTask:
    """Everything in the configuration that changes what a fine-tuning learns."""
    spec = METHODS[method]
    return FinetuningTask(
        algorithm=spec.segmentation,
        options={**config.algorithms.given(spec.segmentation), **spec.options},
        modality=modality,
        regions=config.cohorts[cohort].regions,
        label_ratio=ratio,
        filters=config.filters,
        prior_probability=config.finetuning.prior_probability,
        depth=spec.transfer,
        transferred_rate=config.finetuning.transferred_rate,
        schedule=config.finetuning.schedule(ratio, config.cohorts[cohort].batch_size.at(ratio)),
        augmentation=config.finetuning.augmentation,
        seed=seed,
    )


def cohort_facts(config: Config, cohort: str) -> dict[str, Any]:
    """What a network's description says about the cohort that it was trained on: nothing that tables merely call it."""
    settings = config.cohorts[cohort]
    facts: dict[str, Any] = {"simulated": settings.simulate is not None}
    folder = settings.raw_folder or (settings.sheet_path.parent if settings.sheet_path else None)
    if data := read_source(folder):  # no key where there is none: that would train everything again
        facts["card"] = {"data": data}
    return facts


def pretrained_layers(method: str) -> str:
    """Which layers of a method's U-Net do not start from random weights, in words."""
    pretraining = METHODS[method].pretraining
    return PRETRAININGS[pretraining].hands_back if pretraining else "none"

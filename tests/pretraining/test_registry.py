"""Every registered algorithm: trains through `pretrain`, resumes to the same weights, and hands over what it says."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mcd.methods import METHODS, PRETRAININGS
from mcd.models.unet import UNet
from mcd.pretraining.base import ENCODER_ONLY
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.registry import REGISTRY, options_class, pretraining_class
from mcd.pretraining.run import pretrain
from mcd.seeding import derive_seed
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.slices.options import Augmentation
from mcd.testing.checks import same_weights
from mcd.testing.cohort import TinyCohort, make_tiny_cohort
from mcd.testing.interruption import epochs_begun, killed_in
from mcd.training import loop
from mcd.training.checkpoint import Checkpoint, load_checkpoint
from mcd.training.history import History
from mcd.training.schedule import Compute, Schedule

SMALL: dict[str, dict[str, Any]] = {
    "dsgan": {"discriminator_filters": 4},
    "jigsaw": {"embedding": 16},
    "swav": {"queue": 12, "queue_start": 0.3, "prototypes": 8},
}
"""Options that make a training on a few slices quick, or all of its parts take part."""

FILTERS, EPOCHS = 2, 3


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    return make_tiny_cohort(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def trained(cohort: TinyCohort, device: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Algorithm -> its checkpoint, trained when first asked for."""
    folder = tmp_path_factory.mktemp("trained")

    class Trained(dict[str, Path]):
        def __missing__(self, algorithm: str) -> Path:
            self[algorithm] = folder / f"{algorithm}.pt"
            run(cohort, algorithm, self[algorithm], device)
            return self[algorithm]

    return Trained()


def run(cohort: TinyCohort, algorithm: str, output: Path, device: str, **more: Any) -> History:
    return pretrain(
        PretrainingTask(
            algorithm=algorithm,
            options=SMALL.get(algorithm, {}),
            modalities=cohort.modalities,
            filters=FILTERS,
            epochs=EPOCHS,
            batch_size=8,
            steps_per_epoch=2,
        ),
        shards=cohort.shards,
        split=cohort.split,
        output=output,
        compute=Compute(device=device),
        **more,
    )


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_trains_and_says_what_it_trained(algorithm: str, trained: dict[str, Path]) -> None:
    checkpoint = load_checkpoint(trained[algorithm], "pretraining")
    said = checkpoint.description["trained"]
    whole = UNet(FILTERS).state_dict()
    assert set(checkpoint.weights) == {"A", "B"}
    assert set(said) <= set(whole)
    method_class = pretraining_class(algorithm)
    if method_class.up_layers == ENCODER_ONLY:
        assert set(said) == {key for key in whole if key.startswith("encoder.")}
    for modality, state in checkpoint.weights.items():
        group = ("A", "B") if REGISTRY[algorithm].multimodal else (modality,)
        torch.manual_seed(derive_seed(derive_seed(0, *group), "weights"))
        options = options_class(algorithm).model_validate(SMALL.get(algorithm, {}))
        before = method_class(options, FILTERS, group, (32, 32)).unet_state(modality)
        assert set(said) <= set(state)
        for key in said:
            assert state[key].shape == whole[key].shape, key
            assert torch.isfinite(state[key]).all(), key
            # a bias before a BatchNorm has no gradient but rounding; everything else has to have moved
            if before[key].dim() > 1:
                assert not torch.equal(state[key], before[key]), f"{key} did not move"


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_goes_on_after_a_kill_to_the_same_weights(
    algorithm: str,
    cohort: TinyCohort,
    trained: dict[str, Path],
    tmp_path: Path,
    device: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method_class = pretraining_class(algorithm)
    saving = loop.train

    def saves_every_epoch(*positional: Any, **named: Any) -> History:
        return saving(*positional, **named, save_every=0.0)

    monkeypatch.setattr("mcd.pretraining.run.train", saves_every_epoch)
    output, resume = tmp_path / "out.pt", tmp_path / "resume.pt"
    with killed_in(EPOCHS - 1, method_class):
        run(cohort, algorithm, output, device, resume=resume)
    assert not output.exists()
    assert len(list(tmp_path.glob("resume.pt*"))) == 1
    with epochs_begun(method_class) as begun:
        history = run(cohort, algorithm, output, device, resume=resume)
    assert begun[0] == EPOCHS - 1  # it went on, and did not start again
    assert [row["epoch"] for row in history][:EPOCHS] == list(range(1, EPOCHS + 1))
    assert same_weights(load_checkpoint(output), load_checkpoint(trained[algorithm]))
    assert not list(tmp_path.glob("resume.pt*"))


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_fine_tuning_takes_over_what_was_trained_and_nothing_else(
    algorithm: str, cohort: TinyCohort, trained: dict[str, Path], tmp_path: Path, device: str
) -> None:
    """At a learning rate of 0 the fine-tuned parameters are those that it began with."""

    def start(pretrained: Path | None) -> Checkpoint:
        finetune(
            FinetuningTask(
                modality="B",
                regions={"whole": [1, 2]},
                label_ratio=0.5,
                filters=FILTERS,
                schedule=Schedule.model_construct(epochs=1, batch_size=4, steps_per_epoch=1, learning_rate=0.0),
                augmentation=Augmentation(),
            ),
            shards=cohort.shards,
            split=cohort.split,
            output=tmp_path / "model.pt",
            pretrained=pretrained,
            compute=Compute(device=device),
        )
        return load_checkpoint(tmp_path / "model.pt", "segmentation")

    pretraining = load_checkpoint(trained[algorithm])
    model, fresh = start(trained[algorithm]), start(None)
    said, taken = set(pretraining.description["trained"]), set(model.description["transferred"])
    assert taken == {key for key in said if not key.startswith("output.")}
    for name, value in UNet(FILTERS).named_parameters():
        source = pretraining.weights["B"] if name in taken else fresh.weights["network"]
        assert model.weights["network"][name].shape == value.shape
        assert torch.equal(model.weights["network"][name], source[name]), name


def test_every_pretraining_of_a_table_is_registered() -> None:
    assert {spec.algorithm for spec in PRETRAININGS.values()} <= set(REGISTRY)
    assert {spec.pretraining for spec in METHODS.values() if spec.pretraining} <= set(PRETRAININGS)

"""A whole diagnosis: what is measured of which method, on whom, and the same each time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcd.diagnosis.numbers import INNERMOST, LAYERS, SHARED, Diagnosis, read_diagnoses
from mcd.diagnosis.run import diagnose
from mcd.errors import McdError
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.testing.cohort import TinyCohort
from mcd.training.checkpoint import load_checkpoint, save_checkpoint
from mcd.training.history import write_history
from mcd.training.schedule import Compute

CPU = Compute(device="cpu")


def done(
    cohort: TinyCohort, pretrained: Path, output: Path, regions: dict[str, list[int]], **changes: Any
) -> Diagnosis:
    arguments: dict[str, Any] = {
        "pretrained": pretrained,
        "losses": pretrained.parent / "losses.csv",
        "models": [],
        "shards": cohort.shards,
        "split": cohort.split,
        "output": output,
        "columns": {"cohort": "tiny", "pair": "A-B", "pretraining": "multi_condos", "seed": 0},
        "regions": regions,
        "compute": CPU,
    }
    return diagnose(**(arguments | changes))


def trained(cohort: TinyCohort, folder: Path, algorithm: str, **options: float) -> Path:
    task = PretrainingTask(
        algorithm=algorithm,
        options=options,
        modalities=cohort.modalities,
        filters=2,
        epochs=1,
        steps_per_epoch=1,
        batch_size=4,
    )
    path = folder / "checkpoint.pt"
    history = pretrain(task, shards=cohort.shards, split=cohort.split, output=path, compute=CPU)
    write_history(history, folder / "losses.csv")
    return path


def test_everything_is_measured_and_written(
    tiny_cohort: TinyCohort, pretrained: Path, finetuned: Path, regions: dict[str, list[int]], tmp_path: Path
) -> None:
    found = done(tiny_cohort, pretrained, tmp_path / "one.csv", regions, models=[finetuned])
    assert {number.test for number in found.numbers} == {
        *("translation", "retrieval", "probe", "knock_out", "moved", "loss")
    }
    assert {number.layers for number in found.of("knock_out")} == {SHARED}
    assert {number.modality for number in found.of("translation")} == {"A", "B"}
    assert {number.modality for number in found.of("probe")} == {"A", "B"}
    assert {number.modality for number in found.of("moved")} == {"A"}
    assert [number.measure for number in found.of("loss")] == [
        *("adversarial", "translation", "reconstruction", "contrastive")
    ]
    (read,) = read_diagnoses([tmp_path / "one.csv"])
    assert [replace(number, value=round(number.value, 6)) for number in found.numbers] == read.numbers
    assert read.version == found.version
    done(tiny_cohort, pretrained, tmp_path / "again.csv", regions, models=[finetuned])
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


def test_the_branch_of_a_modality_is_compared_with_its_own_network(
    tiny_cohort: TinyCohort, pretrained: Path, finetuned: Path, regions: dict[str, list[int]], tmp_path: Path
) -> None:
    """A model that is just what its branch was has not moved, and layers that the other branch has of its own would differ."""
    checkpoint, model = load_checkpoint(pretrained), load_checkpoint(finetuned)
    for modality in "AB":
        state = {key: checkpoint.weights[modality][key] for key in model.description["transferred"]}
        still = replace(
            model,
            description={**model.description, "modality": modality},
            weights={"network": {**model.weights["network"], **state}},
        )
        save_checkpoint(still, tmp_path / "model.pt")
        found = done(tiny_cohort, pretrained, tmp_path / "n.csv", regions, models=[tmp_path / "model.pt"])
        assert [number.value for number in found.of("moved")] == pytest.approx([1.0] * 2 * len(LAYERS))


def test_no_label_of_a_test_patient_is_read(
    tiny_cohort: TinyCohort,
    pretrained: Path,
    finetuned: Path,
    regions: dict[str, list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels: set[str] = set()
    images: set[str] = set()
    read = Shards.read

    def watched(shards: Shards, name: str, dataset: str, *rest: Any, **named: Any) -> Any:
        (images if dataset == "images" else labels).add(name) if dataset != "content" else None
        return read(shards, name, dataset, *rest, **named)

    monkeypatch.setattr(Shards, "read", watched)
    done(tiny_cohort, pretrained, tmp_path / "n.csv", regions, models=[finetuned])
    split = read_split(tiny_cohort.split)
    assert labels == set(split.train)
    assert images == {*split.train, *split.test}


def test_an_encoder_has_what_applies_to_it(
    tiny_cohort: TinyCohort, regions: dict[str, list[int]], tmp_path: Path
) -> None:
    found = done(tiny_cohort, trained(tiny_cohort, tmp_path, "rotation"), tmp_path / "n.csv", regions)
    assert {number.test for number in found.numbers} == {"probe", "loss"}
    assert {number.measure for number in found.of("loss")} == {"total"}


def test_without_translations_there_is_no_error_of_them(
    tiny_cohort: TinyCohort, regions: dict[str, list[int]], tmp_path: Path
) -> None:
    """Con-Only trains no layer behind the feature."""
    options = {"adversarial": 0.0, "translation": 0.0, "reconstruction": 0.0, "shared": 0}
    found = done(tiny_cohort, trained(tiny_cohort, tmp_path, "dsgan", **options), tmp_path / "n.csv", regions)
    assert {number.test for number in found.numbers} == {"retrieval", "probe", "loss"}


def test_generators_that_share_nothing_are_knocked_out_where_others_share(
    tiny_cohort: TinyCohort, regions: dict[str, list[int]], tmp_path: Path
) -> None:
    options = {"shared": 0, "discriminator_filters": 2, "reconstruction": 0.0, "contrastive": 0.0}
    found = done(tiny_cohort, trained(tiny_cohort, tmp_path, "dsgan", **options), tmp_path / "n.csv", regions)
    assert {number.layers for number in found.of("knock_out")} == {INNERMOST}


def test_models_that_started_elsewhere_are_refused(
    tiny_cohort: TinyCohort, pretrained: Path, finetuned: Path, regions: dict[str, list[int]], tmp_path: Path
) -> None:
    model = load_checkpoint(finetuned)
    path = tmp_path / "model.pt"
    for change, words in (
        ({"modality": "C"}, "did not start from this pre-training"),
        ({"transferred": []}, "started from random weights"),
    ):
        save_checkpoint(replace(model, description={**model.description, **change}), path)
        with pytest.raises(McdError, match=rf"model\.pt: {words}"):
            done(tiny_cohort, pretrained, tmp_path / "n.csv", regions, models=[path])
    with pytest.raises(McdError, match=r"is a pretraining checkpoint"):
        done(tiny_cohort, pretrained, tmp_path / "n.csv", regions, models=[pretrained])

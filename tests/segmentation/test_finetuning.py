"""From pre-training to scores: what is transferred, what is learnt, what is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mcd.errors import McdError
from mcd.evaluation.overlap import dsc, sensitivity
from mcd.evaluation.scores import read_scores
from mcd.imaging.geometry import Grid
from mcd.imaging.io import read_volume
from mcd.imaging.preprocess import read_preprocessed
from mcd.models.unet import UNet
from mcd.prediction.masks import (
    predicted_regions,
    predicted_subjects,
    predicted_version,
    read_predictions,
    region_codes,
    write_predictions,
)
from mcd.prediction.raw_grid import export_predictions
from mcd.prediction.run import predict_test
from mcd.prediction.score import score_predictions
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.segmentation.transfer import transfer
from mcd.testing.cohort import TinyCohort
from mcd.training.checkpoint import Checkpoint, load_checkpoint
from mcd.training.schedule import Schedule
from mcd.version import code_version

REGIONS = {"WT": [1, 2], "TC": [1]}


@pytest.fixture(scope="module")
def pretrained(tiny_cohort: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("pretrained") / "checkpoint.pt"
    resume = output.parent / "resume"
    history = pretrain(
        PretrainingTask(
            algorithm="dsgan",
            options={"discriminator_filters": 4},
            modalities=("A", "B"),
            filters=4,
            epochs=2,
            batch_size=6,
        ),
        shards=tiny_cohort.shards,
        split=tiny_cohort.split,
        output=output,
        resume=resume,
    )
    assert len(history) == 2
    assert not list(output.parent.glob("resume*"))
    return output


@pytest.mark.parametrize(
    ("depth", "fresh"),
    [
        (0, ["decoder.1.", "decoder.2.", "decoder.3.", "upsample.2.", "upsample.3.", "output."]),
        (1, ["decoder.2.", "decoder.3.", "upsample.3.", "output."]),
        (2, ["decoder.3.", "output."]),
        (3, ["output."]),
    ],
)
def test_transfer_depths_are_those_of_table_8(pretrained: Path, depth: int, fresh: list[str]) -> None:
    checkpoint = load_checkpoint(pretrained)
    for modality in ("A", "B"):
        torch.manual_seed(1)
        unet = UNet(4, out_channels=2)
        before = {key: value.clone() for key, value in unet.state_dict().items()}
        keys = transfer(checkpoint, unet, modality, depth)
        assert set(before) - set(keys) == {key for key in before if key.startswith(tuple(fresh))}
        for key, value in unet.state_dict().items():
            expected = checkpoint.weights[modality][key] if key in keys else before[key]
            assert torch.equal(value, expected), key


def test_a_missing_or_misshapen_key_is_named(pretrained: Path) -> None:
    checkpoint = load_checkpoint(pretrained)
    with pytest.raises(McdError, match=r"p\.pt: encoder.0.0.weight has shape \(4, 1, 3, 3\), the network needs \(8,"):
        transfer(checkpoint, UNet(8), "A", 3, name="p.pt")
    with pytest.raises(McdError, match="was pre-trained on A, B, not on C"):
        transfer(checkpoint, UNet(4), "C", 3)
    del checkpoint.weights["A"]["encoder.2.1.running_var"]
    with pytest.raises(McdError, match=r"encoder.2.1.running_var is missing for A"):
        transfer(checkpoint, UNet(4), "A", 3)
    checkpoint.description["trained"].append("encoder.9.weight")
    with pytest.raises(McdError, match=r"encoder\.9\.weight is not a layer"):
        transfer(checkpoint, UNet(4), "B", 3)


def test_encoder_only_methods_transfer_their_encoder_only() -> None:
    state = UNet(4).state_dict()
    encoder = {key: value for key, value in state.items() if key.startswith("encoder.")}
    checkpoint = Checkpoint("pretraining", {"trained": list(encoder)}, {"A": encoder})
    assert transfer(checkpoint, UNet(4), "A", 3) == list(encoder)


def run_finetuning(cohort: TinyCohort, folder: Path, **options: Any) -> Path:
    settings: dict[str, Any] = {
        "modality": "A",
        "regions": REGIONS,
        "label_ratio": 0.5,
        "filters": 4,
        "schedule": Schedule(epochs=8, batch_size=8, learning_rate=1e-2, steps_per_epoch=6, decay="cosine"),
    }
    places: dict[str, Any] = {"shards": cohort.shards, "split": cohort.split, "output": folder / "model.pt"}
    own = {name: options.pop(name) for name in list(options) if name in FinetuningTask.model_fields}
    finetune(FinetuningTask(**{**settings, **own}), **places, **options)
    return folder / "model.pt"


@pytest.fixture(scope="module")
def model(tiny_cohort: TinyCohort, pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_finetuning(tiny_cohort, tmp_path_factory.mktemp("model"), pretrained=pretrained)


def test_training_begins_at_regions_that_are_rare(tiny_cohort: TinyCohort, pretrained: Path, tmp_path: Path) -> None:
    still = Schedule(epochs=1, batch_size=8, learning_rate=1e-12, steps_per_epoch=1)
    for start in (None, pretrained):
        model = run_finetuning(tiny_cohort, tmp_path, schedule=still, pretrained=start, prior_probability=0.03)
        began = load_checkpoint(model).weights["network"]
        assert torch.sigmoid(began["output.bias"]).numpy() == pytest.approx([0.03, 0.03])


def test_what_went_wrong_in_a_pre_training_stands_in_its_checkpoint_and_in_the_model(
    tiny_cohort: TinyCohort, tmp_path: Path
) -> None:
    task = PretrainingTask(
        algorithm="rotation", options={"learning_rate": 1e-12}, modalities=("A", "B"), filters=4, epochs=4, batch_size=6
    )
    start = tmp_path / "start.pt"
    pretrain(task, shards=tiny_cohort.shards, split=tiny_cohort.split, output=start)
    warned = load_checkpoint(start).description["warnings"]
    assert [warning.partition(":")[0] for warning in warned] == ["A, epochs 3 to 4", "B, epochs 3 to 4"]
    assert all("the weights no longer move; raise learning_rate" in warning for warning in warned)
    model = run_finetuning(tiny_cohort, tmp_path, pretrained=start)
    assert load_checkpoint(model).description["warnings"] == [f"pre-training, {warning}" for warning in warned]


def run_evaluation(cohort: TinyCohort, model: Path) -> tuple[pd.DataFrame, Path]:
    columns = {
        "cohort": "tiny",
        "pair": "A-B",
        "modality": "A",
        "method": "multi_condos",
        "label_ratio": 0.5,
        "seed": 0,
        "draw": 0,
    }
    predictions = model.parent / "predictions.h5"
    data: dict[str, Any] = {"shards": cohort.shards, "split": cohort.split, "predictions": predictions}
    predict_test(**data, model=model)
    rows = score_predictions(**data, scores=model.parent / "scores.csv", columns=columns)
    return pd.DataFrame(rows), predictions


def test_it_learns_and_the_scores_are_those_of_the_stored_masks(tiny_cohort: TinyCohort, model: Path) -> None:
    table, predictions = run_evaluation(tiny_cohort, model)
    assert list(table["subject"]) == ["p4", "p4", "p5", "p5"]
    assert table.loc[table["region"] == "WT", "DSC"].min() > 0.6
    written = read_scores([model.parent / "scores.csv"])
    assert (written.pop("fold") == 0).all()  # of one split
    pd.testing.assert_frame_equal(written, table[written.columns], atol=1e-6)
    for row in table.itertuples():
        label = read_preprocessed(tiny_cohort.folders[row.subject]).label
        assert label is not None
        truth = np.isin(label, REGIONS[row.region])
        prediction = read_predictions(predictions, row.subject)[row.region]
        assert prediction.shape == truth.shape  # every slice is predicted, with and without a target
        assert pytest.approx(dsc(truth, prediction)) == row.DSC
        assert row.Sen == pytest.approx(sensitivity(truth, prediction))


def test_every_result_knows_the_versions_that_it_went_through(
    tiny_cohort: TinyCohort, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patients that were prepared before results knew their version, then one version for each stage."""

    def by(version: str, module: str) -> None:
        monkeypatch.setattr(f"mcd.{module}.code_version", lambda: version)

    first = load_checkpoint(pretrained)
    assert first.version == code_version()
    assert first.description["mcd_version"] == f"unknown {code_version()}"
    by("2", "segmentation.run")
    schedule = Schedule(epochs=1, batch_size=4, steps_per_epoch=1)
    model = run_finetuning(tiny_cohort, tmp_path, pretrained=pretrained, schedule=schedule)
    assert load_checkpoint(model).description["mcd_version"] == f"unknown {code_version()} 2"
    by("3", "prediction.run")
    by("4", "prediction.score")
    _, predictions = run_evaluation(tiny_cohort, model)
    assert predicted_version(predictions) == f"unknown {code_version()} 2 3"
    scores = read_scores([tmp_path / "scores.csv"])
    assert set(scores["mcd_version"]) == {f"unknown {code_version()} 2 3 4"}


def test_the_same_call_gives_the_same_weights_and_another_seed_does_not(
    tiny_cohort: TinyCohort, tmp_path: Path
) -> None:
    schedule = Schedule(epochs=2, batch_size=4, steps_per_epoch=2)

    def weights(name: str, seed: int) -> torch.Tensor:
        path = run_finetuning(tiny_cohort, tmp_path / name, schedule=schedule, seed=seed)
        return load_checkpoint(path).weights["network"]["encoder.0.0.weight"]

    assert torch.equal(weights("one", 0), weights("two", 0))
    assert not torch.equal(weights("one", 0), weights("three", 1))


def test_predictions_lie_on_the_raw_grid(tiny_cohort: TinyCohort, model: Path, tmp_path: Path) -> None:
    _, predictions = run_evaluation(tiny_cohort, model)
    files = export_predictions(predictions, tiny_cohort.shards, "A", REGIONS, tmp_path)
    assert [path.name for path in files] == ["p4.nii.gz", "p5.nii.gz"]
    pre = read_preprocessed(tiny_cohort.folders["p4"])
    image = read_volume(files[0])
    assert Grid.of(image) == Grid.from_json(pre.info["raw_grids"]["A"])


def test_predictions_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    masks = {"a": rng.random((3, 4, 5, 6)) > 0.5, "b": np.zeros((3, 2, 5, 6), bool)}
    write_predictions(masks.items(), {"X": [1], "Y": [1, 2], "Z": [4]}, tmp_path / "p.h5")
    assert predicted_subjects(tmp_path / "p.h5") == ["a", "b"]
    assert predicted_regions(tmp_path / "p.h5") == {"X": [1], "Y": [1, 2], "Z": [4]}
    for subject, mask in masks.items():
        for index, (name, read) in enumerate(read_predictions(tmp_path / "p.h5", subject).items()):
            assert name == "XYZ"[index]
            np.testing.assert_array_equal(read, mask[index])
    with pytest.raises(McdError, match="no prediction for c"):
        read_predictions(tmp_path / "p.h5", "c")


def test_overlapping_regions_become_the_labels_own_codes() -> None:
    codes = np.array([[[0, 1, 2, 4]]])
    regions = {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]}
    masks = {name: np.isin(codes, members) for name, members in regions.items()}
    np.testing.assert_array_equal(region_codes(regions, masks), codes)
    one = {"GTVt": [1]}
    np.testing.assert_array_equal(region_codes(one, {"GTVt": codes > 0}), (codes > 0).astype(np.uint8))

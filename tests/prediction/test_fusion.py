"""Fusion: the mean, STAPLE against SimpleITK's filter, and a pair's scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

from mcd.errors import McdError
from mcd.evaluation.metrics import METRIC_KEYS, score_subject
from mcd.models.unet import UNet
from mcd.prediction.fusion import FUSIONS, fuse, staple
from mcd.prediction.masks import read_probabilities, write_predictions
from mcd.prediction.run import predict_test
from mcd.prediction.score import score_fused, score_predictions, true_masks
from mcd.prediction.slices import load_network, predict_slices
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.testing.cohort import TinyCohort
from mcd.training.checkpoint import Checkpoint, save_checkpoint
from mcd.training.schedule import Compute

REGIONS = {"WT": [1, 2], "TC": [1]}


def raters(count: int, seed: int) -> np.ndarray:
    """A ball as several raters see it: shifted, and with voxels wrong here and there."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:12, :24, :24]
    ball = 2 * (z - 6) ** 2 + (y - 12) ** 2 + (x - 12) ** 2 < 40
    shifts = rng.integers(-2, 3, (count, 3))
    return np.stack([np.roll(ball, shift, (0, 1, 2)) ^ (rng.random(ball.shape) < 0.004) for shift in shifts])


@pytest.mark.parametrize(("count", "seed"), [(2, 0), (2, 1), (2, 2), (3, 3), (5, 4), (8, 5)])
def test_staple_is_that_of_simpleitk(count: int, seed: int) -> None:
    masks = raters(count, seed)
    reference = sitk.STAPLEImageFilter()
    reference.SetForegroundValue(1)
    expected = reference.Execute([sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in masks])
    np.testing.assert_allclose(staple(masks), sitk.GetArrayFromImage(expected), atol=1e-6)


@pytest.mark.parametrize("masks", [np.zeros((2, 3, 4, 5), bool), np.ones((2, 3, 4, 5), bool)])
def test_staple_of_raters_who_agree_everywhere(masks: np.ndarray) -> None:
    np.testing.assert_array_equal(staple(masks), masks[0])


def test_staple_of_raters_who_never_agree_is_a_number() -> None:
    masks = np.zeros((2, 4, 8, 8), bool)
    masks[0, 0], masks[1, 3] = True, True
    found = staple(masks)
    assert np.isfinite(found).all()
    assert found[1:3].max() < 0.5


def test_fusing_goes_region_by_region() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 2, 3, 4, 5), dtype=np.float32)
    np.testing.assert_allclose(fuse([one, other]), (one + other) / 2, rtol=1e-6)
    np.testing.assert_array_equal(fuse([one], "staple"), one)
    both = fuse([one, other], "staple")
    assert both.shape == one.shape
    for region in range(2):
        masks = np.stack([one[region], other[region]]) >= 0.5
        np.testing.assert_allclose(both[region], staple(masks), rtol=1e-6)
    with pytest.raises(McdError, match="fusion 'median' is unknown; use one of mean, staple"):
        fuse([one, other], "median")


def save_model(path: Path, modality: str, seed: int, regions: dict[str, list[int]] = REGIONS) -> Path:
    """A network of random weights that says neither yes nor no everywhere."""
    torch.manual_seed(seed)
    unet = UNet(2, out_channels=len(regions))
    description = {"filters": 2, "regions": regions, "modality": modality}
    save_checkpoint(Checkpoint("segmentation", description, {"network": unet.state_dict()}), path)
    return path


def predict(cohort: TinyCohort, model: Path, keep_probabilities: bool = True) -> Path:
    predictions = model.with_suffix(".h5")
    predict_test(
        shards=cohort.shards,
        split=cohort.split,
        model=model,
        predictions=predictions,
        keep_probabilities=keep_probabilities,
    )
    return predictions


RUN = {"cohort": "tiny", "pair": "A-B", "method": "multi_condos", "label_ratio": 0.5, "seed": 0}


def test_a_pairs_scores_hold_those_of_the_single_networks(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    models = [save_model(tmp_path / f"{name}.pt", name, seed) for seed, name in enumerate("AB")]
    predictions = [predict(tiny_cohort, model) for model in models]
    data: dict[str, Any] = {"shards": tiny_cohort.shards, "split": tiny_cohort.split}
    rows = score_fused(
        **data, predictions=predictions, scores=tmp_path / "fused.csv", columns={**RUN, "modality": "A-B"}
    )
    fused = pd.DataFrame(rows)
    assert list(fused["method"].unique()) == [f"multi_condos/{way}" for way in ("first", "second", "mean", "staple")]
    for modality, way, path in zip("AB", ("first", "second"), predictions, strict=True):
        columns = {**RUN, "modality": modality}
        alone = score_predictions(**data, predictions=path, scores=tmp_path / "alone.csv", columns=columns)
        found = fused[fused["method"] == f"multi_condos/{way}"].reset_index(drop=True)
        pd.testing.assert_frame_equal(found[METRIC_KEYS], pd.DataFrame(alone)[METRIC_KEYS])
    assert len(pd.read_csv(tmp_path / "fused.csv")) == 4 * 2 * 2  # ways, subjects, regions


def test_fusion_from_predictions_is_that_of_the_networks(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """Each way is held against networks that predict again: masks and stored probabilities lose nothing that counts."""
    models = [save_model(tmp_path / f"{name}.pt", name, seed) for seed, name in enumerate("AB")]
    columns = {**RUN, "modality": "A-B"}
    data: dict[str, Any] = {"shards": tiny_cohort.shards, "split": tiny_cohort.split}
    predictions = [predict(tiny_cohort, model) for model in models]
    rows = score_fused(**data, predictions=predictions, scores=tmp_path / "fused.csv", columns=columns)
    expected = []
    with Shards(tiny_cohort.shards) as shards:
        for subject in ("p4", "p5"):
            predicted = []
            for model in models:
                network, description = load_network(model, torch.device("cpu"))
                slices = SliceSet(shards, [subject], [description["modality"]], select="all")
                predicted.append(predict_slices(network, slices, 64, Compute(device="cpu")))
            truth = true_masks(shards, subject, REGIONS)
            ways = {"first": predicted[0], "second": predicted[1], **{how: fuse(predicted, how) for how in FUSIONS}}
            for way, found in ways.items():
                masks = dict(zip(REGIONS, found >= 0.5, strict=True))
                scored = score_subject(truth, masks, shards.subject(subject).spacing)
                own = {**columns, "method": f"multi_condos/{way}", "subject": subject}
                expected += [{**own, **row} for row in scored]
    table = pd.DataFrame(rows).drop(columns="mcd_version")
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected), check_exact=True)


def test_a_stored_probability_keeps_every_mean_on_its_side(tmp_path: Path) -> None:
    """Pairs of float32 whose mean is 0.5, or next to it: rounding to the stored steps must not move them across."""
    rng = np.random.default_rng(0)
    upper = np.concatenate([rng.uniform(0.5, 1, 20_000), [0.5, 1.0, 1 - 2**-24]]).astype(np.float32)
    nudges = np.float32(2.0) ** -rng.integers(20, 30, upper.shape).astype(np.float32)
    lower = np.clip((1 - upper) + rng.choice([-1, -0.5, 0, 0.5, 1], upper.shape).astype(np.float32) * nudges, 0, 1)
    pair = [values.astype(np.float32).reshape(1, 1, 1, -1) for values in (upper, lower)]
    for name, values in zip("ab", pair, strict=True):
        write_predictions([("p", values)], {"WT": [1]}, tmp_path / f"{name}.h5", keep_probabilities=True)
    stored = [read_probabilities(tmp_path / f"{name}.h5", "p") for name in "ab"]
    assert max(np.abs(one - other).max() for one, other in zip(pair, stored, strict=True)) <= 2**-25
    mean = fuse(pair, "mean") >= 0.5
    coarse = [(np.rint(values * 65535) / 65535).astype(np.float32) for values in pair]
    assert (fuse(coarse, "mean") >= 0.5)[~mean].any()  # the pairs are hard: 16 bits move some
    np.testing.assert_array_equal(fuse(stored, "mean") >= 0.5, mean)


def test_what_does_not_go_together_is_not_fused(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    models = [save_model(tmp_path / "A.pt", "A", 0), save_model(tmp_path / "B.pt", "B", 1, {"WT": [1, 2]})]
    data: dict[str, Any] = {"shards": tiny_cohort.shards, "split": tiny_cohort.split, "scores": tmp_path / "s.csv"}
    with pytest.raises(McdError, match=r"B\.h5: predicts .* fuse networks of one kind"):
        score_fused(**data, predictions=[predict(tiny_cohort, model) for model in models], columns=RUN)
    models[1] = save_model(tmp_path / "B.pt", "B", 1)
    predictions = [predict(tiny_cohort, models[0]), predict(tiny_cohort, models[1], keep_probabilities=False)]
    with pytest.raises(McdError, match=r"B\.h5: was written without probabilities; delete it to regenerate it"):
        score_fused(**data, predictions=predictions, columns=RUN)
    assert not (tmp_path / "s.csv").exists()

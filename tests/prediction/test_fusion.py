"""Fusion: the mean, STAPLE against SimpleITK's filter, and a pair's scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from tiny import TinyCohort

from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.prediction.fusion import fuse, staple
from mcd.segmentation.run import evaluate, evaluate_fused
from mcd.training.checkpoint import Checkpoint, save_checkpoint

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
    with pytest.raises(McdError, match="fusion 'median' is unknown; choose among mean, staple"):
        fuse([one, other], "median")


def save_model(path: Path, modality: str, seed: int, regions: dict[str, list[int]] = REGIONS) -> Path:
    """A network of random weights that says neither yes nor no everywhere."""
    torch.manual_seed(seed)
    unet = UNet(2, out_channels=len(regions))
    description = {"filters": 2, "regions": regions, "modality": modality}
    save_checkpoint(Checkpoint("segmentation", description, {"network": unet.state_dict()}), path)
    return path


def test_a_pairs_scores_hold_those_of_the_single_networks(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    models = [save_model(tmp_path / f"{name}.pt", name, seed) for seed, name in enumerate("AB")]
    data: dict[str, Any] = {"shards": tiny_cohort.shards, "split": tiny_cohort.split}
    run = {"cohort": "tiny", "pair": "A-B", "method": "multi_condos", "label_ratio": 0.5, "seed": 0}
    fused = evaluate_fused(**data, models=models, scores=tmp_path / "fused.csv", columns={**run, "modality": "A-B"})
    assert list(fused["method"].unique()) == [f"multi_condos/{way}" for way in ("first", "second", "mean", "staple")]
    metrics = ["DSC", "Sen", "PPV", "HD95", "BIoU"]
    for modality, way, model in zip("AB", ("first", "second"), models, strict=True):
        alone = evaluate(
            **data,
            model=model,
            scores=tmp_path / "alone.csv",
            predictions=tmp_path / "alone.h5",
            columns={**run, "modality": modality},
        )
        rows = fused[fused["method"] == f"multi_condos/{way}"]
        pd.testing.assert_frame_equal(rows[metrics].reset_index(drop=True), alone[metrics])
    assert len(pd.read_csv(tmp_path / "fused.csv")) == 4 * 2 * 2  # ways, subjects, regions


def test_networks_of_different_regions_are_not_fused(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    models = [save_model(tmp_path / "A.pt", "A", 0), save_model(tmp_path / "B.pt", "B", 1, {"WT": [1, 2]})]
    with pytest.raises(McdError, match=r"B\.pt: predicts .* fuse networks of one kind"):
        evaluate_fused(
            shards=tiny_cohort.shards, split=tiny_cohort.split, models=models, scores=tmp_path / "s.csv", columns={}
        )

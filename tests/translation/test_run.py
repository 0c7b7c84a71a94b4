"""Translating test slices: which generator gives which image, what is scored, and what the figures are given."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from mcd.errors import McdError
from mcd.evaluation.image_quality import frechet_distance, ssim
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.testing.cohort import TinyCohort, make_tiny_cohort
from mcd.training.checkpoint import load_checkpoint, save_checkpoint
from mcd.training.schedule import Compute
from mcd.translation import run as translation
from mcd.translation.examples import Examples, read_examples, write_examples
from mcd.translation.extractors import Extractor
from mcd.translation.passes import IMAGES
from mcd.translation.run import load_generators, translate

REGIONS = {"WT": [1, 2], "TC": [1]}
CPU = Compute(device="cpu")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    return make_tiny_cohort(tmp_path_factory.mktemp("translation"))


@pytest.fixture(scope="module")
def checkpoint(cohort: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pretraining") / "checkpoint.pt"
    pretrain(
        PretrainingTask(
            algorithm="dsgan",
            options={"discriminator_filters": 2},
            modalities=cohort.modalities,
            filters=2,
            epochs=1,
            steps_per_epoch=1,
            batch_size=4,
        ),
        shards=cohort.shards,
        split=cohort.split,
        output=path,
        compute=CPU,
    )
    return path


@pytest.fixture(autouse=True)
def _pixels_for_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """FID by eight rows of pixels, so that it can be computed again."""

    def features(images: Tensor) -> Tensor:
        assert images.min() >= 0
        assert images.max() <= 1
        return images[:, 0, ::4].mean(dim=2)

    monkeypatch.setattr(translation, "find_extractor", lambda inception, device: Extractor("Rows", features))


def done(
    cohort: TinyCohort, checkpoint: Path, folder: Path, **changes: Any
) -> tuple[pd.DataFrame, pd.DataFrame, Examples]:
    arguments: dict[str, Any] = {
        "shards": cohort.shards,
        "split": cohort.split,
        "pretrained": checkpoint,
        "scores": folder / "scores.csv",
        "distances": folder / "distances.csv",
        "examples": folder / "examples.h5",
        "columns": {"cohort": "tiny", "pair": "A-B", "pretraining": "multi_condos", "seed": 0},
        "regions": REGIONS,
        "pairs": 5,
        "compute": CPU,
    }
    translate(**(arguments | changes))
    return (
        pd.read_csv(folder / "scores.csv"),
        pd.read_csv(folder / "distances.csv"),
        read_examples(folder / "examples.h5"),
    )


def by_hand(cohort: TinyCohort, checkpoint: Path, subject: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The images of a subject's slices with content in A and B, and the ranges of its two volumes."""
    with Shards(cohort.shards) as shards:
        volumes = shards.read(subject, "images").astype(np.float32)
    learned = training_images(cohort)
    kept = torch.from_numpy(volumes[1:-1])  # the first and last are black in B
    made = {"X": kept[:, :1], "Y": kept[:, 1:]}
    for name, source in (("X_trans", "Y"), ("Y_trans", "X"), ("X_rec", "Y_trans"), ("Y_rec", "X_trans")):
        learned[name], made[name] = passed(checkpoint, name, learned[source], made[source])
    tissues = [volumes[:, m][volumes[:, m] != 0] for m in (0, 1)]
    ranges = np.array([[tissue.min(), tissue.max()] for tissue in tissues])
    return {name: image[:, 0].numpy() for name, image in made.items()}, ranges


def training_images(cohort: TinyCohort) -> dict[str, Tensor]:
    with Shards(cohort.shards) as shards:
        volumes = [shards.read(name, "images")[1:-1].astype(np.float32) for name in read_split(cohort.split).train]
    together = torch.from_numpy(np.concatenate(volumes))
    return {"X": together[:, :1], "Y": together[:, 1:]}


def passed(checkpoint: Path, name: str, learned: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """One pass over training and over test slices, by a network of its own that has just seen the training slices."""
    generator = load_generators(checkpoint).generator
    branch = generator.branch(1) if name[0] == "X" else generator.branch(0)
    for module in branch.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of the last batch alone
    with torch.inference_mode():
        branch.train()
        branch(learned)
        branch.eval()
        return branch(learned), branch(source)


def test_the_generators_are_the_checkpoints(checkpoint: Path) -> None:
    method = load_generators(checkpoint)
    weights = load_checkpoint(checkpoint).weights
    for branch, modality in ((method.generator.branch(0), "A"), (method.generator.branch(1), "B")):
        for key, value in branch.state_dict().items():
            assert torch.equal(value, weights[modality][key])
    assert method.generator.branch(0).encoder[4] is method.generator.branch(1).encoder[4]
    assert not method.training


def test_scores_are_those_of_the_images_made_by_hand(cohort: TinyCohort, checkpoint: Path, tmp_path: Path) -> None:
    scores, distances, _ = done(cohort, checkpoint, tmp_path, batch_size=4)
    test = read_split(cohort.split).test
    sets: dict[str, list[np.ndarray]] = {name: [] for name in ("X", "Y", *IMAGES)}
    for subject in test:
        images, ranges = by_hand(cohort, checkpoint, subject)
        own = scores[scores["subject"] == subject].set_index("image")
        assert set(own.index) == set(IMAGES)
        for name, stack in images.items():
            low, high = ranges["XY".index(name[0])]
            grey = np.where(images[name[0]] == 0, 0, np.clip((stack - low) / (high - low), 0, 1))
            sets[name].append(grey[:, ::4].mean(axis=2))
            if name in IMAGES:
                expected = ssim(images[name[0]], stack, high - low).mean()
                assert own.loc[name, "SSIM"] == pytest.approx(expected, abs=1e-4)
                assert own.loc[name, "slices"] == 6
    assert len(scores) == 4 * len(test)
    for row in distances.itertuples():
        expected = frechet_distance(np.concatenate(sets[row.image[0]]), np.concatenate(sets[row.image]))
        assert pytest.approx(expected, abs=1e-4) == row.FID
        assert (row.extractor, row.slices) == ("Rows", 12)


def test_the_shown_slice_has_the_most_target_and_all_that_was_made_of_it(
    cohort: TinyCohort, checkpoint: Path, tmp_path: Path
) -> None:
    _, _, examples = done(cohort, checkpoint, tmp_path)
    images, ranges = by_hand(cohort, checkpoint, examples.subject)
    with Shards(cohort.shards) as shards:
        sizes = (shards.read(examples.subject, "labels") > 0).sum(axis=(1, 2))
    assert sizes[examples.row] == sizes[1:-1].max()
    order = ("X", "Y", "X_trans", "Y_trans", "X_rec", "Y_rec")
    np.testing.assert_allclose(examples.images, [images[name][examples.row - 1] for name in order], atol=2e-3)
    np.testing.assert_allclose(examples.ranges, ranges)
    assert examples.spacing == (1, 1)
    assert (examples.grey(5)[images["Y"][examples.row - 1] == 0] == 0).all()
    low, high = ranges[1]
    expected = np.abs(images["Y_rec"] - images["Y"])[examples.row - 1] / (high - low)
    np.testing.assert_allclose(examples.error(5), expected, atol=1e-3)


def test_similarity_is_the_cosine_of_what_the_contrast_compares(
    cohort: TinyCohort, checkpoint: Path, tmp_path: Path
) -> None:
    _, _, examples = done(cohort, checkpoint, tmp_path, pairs=100)  # all twelve, in order
    learned, found = training_images(cohort), []
    for name in ("X", "Y"):
        generator = load_generators(checkpoint).generator
        branch = generator.branch(0) if name == "X" else generator.branch(1)
        for module in branch.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.inference_mode():
            branch.train()(learned[name])
            branch.eval()
            for subject in read_split(cohort.split).test:
                images, _ = by_hand(cohort, checkpoint, subject)
                _, stages = branch.forward_with_stages(torch.from_numpy(images[name])[:, None])
                found.append(stages[1].flatten(1).numpy())
    features = np.concatenate(found)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(examples.similarity, features @ features.T, atol=1e-4)


def test_the_same_seed_gives_the_same_files_and_methods_share_their_pairs(
    cohort: TinyCohort, checkpoint: Path, tmp_path: Path
) -> None:
    one, _, first = done(cohort, checkpoint, tmp_path / "a")
    other, _, second = done(cohort, checkpoint, tmp_path / "b", batch_size=5)
    pd.testing.assert_frame_equal(one, other, atol=1e-5)
    np.testing.assert_allclose(first.similarity, second.similarity)
    assert first.similarity.shape == (10, 10)


def test_a_method_without_reconstruction_loss_makes_none(cohort: TinyCohort, checkpoint: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    loaded.description["options"]["reconstruction"] = 0.0
    save_checkpoint(loaded, tmp_path / "p_gan.pt")
    scores, distances, examples = done(cohort, tmp_path / "p_gan.pt", tmp_path)
    assert set(scores["image"]) == set(distances["image"]) == {"X_trans", "Y_trans"}
    assert np.isnan(examples.images[4:]).all()
    assert np.isfinite(examples.images[:4]).all()


def test_without_a_network_there_is_no_fid(
    cohort: TinyCohort, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translation, "find_extractor", lambda inception, device: None)
    scores, distances, _ = done(cohort, checkpoint, tmp_path)
    assert distances["FID"].isna().all()
    assert distances["extractor"].isna().all()
    assert scores["SSIM"].notna().all()


def test_other_checkpoints_are_refused_by_name(checkpoint: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    save_checkpoint(replace(loaded, description={**loaded.description, "algorithm": "simclr"}), tmp_path / "other.pt")
    with pytest.raises(McdError, match=r"other\.pt: simclr has no generators"):
        load_generators(tmp_path / "other.pt")


def test_examples_come_back_as_written_and_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "examples.h5"
    rng = np.random.default_rng(0)
    made = Examples(("A", "B"), "p1", 7, (1.0, 2.0), rng.normal(size=(6, 4, 5)), rng.normal(size=(2, 2)), np.eye(6))
    write_examples(made, path)
    found = read_examples(path)
    assert (found.modalities, found.subject, found.row, found.spacing) == (("A", "B"), "p1", 7, (1.0, 2.0))
    np.testing.assert_allclose(found.images, made.images, rtol=1e-6)
    np.testing.assert_array_equal(found.similarity, made.similarity)
    path.write_bytes(b"no HDF5")
    for broken in (path, tmp_path / "none.h5"):
        with pytest.raises(McdError, match=str(broken.name)):
            read_examples(broken)

"""Translation error, retrieval and knock-out of generators, against calculations by hand and generators that are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mcd.diagnosis.generators import found, innermost, mean_image, overlaps, retrieval, translation_errors
from mcd.diagnosis.numbers import INNERMOST, SHARED
from mcd.models.generator import DomainSharingGenerator
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import TinyCohort, tiny_volumes
from mcd.training.schedule import Compute
from mcd.translation.passes import Passes
from mcd.translation.run import load_generators

CPU = Compute(device="cpu")


def slices_of(shards: Shards, cohort: TinyCohort, part: str) -> SliceSet:
    return SliceSet(shards, getattr(read_split(cohort.split), part), cohort.modalities)


def errors(
    cohort: TinyCohort, checkpoint: Path, change: Callable[[Passes], None] = lambda passes: None
) -> tuple[dict[tuple[str, str], float], Passes]:
    """(measure, modality) -> error, of generators that are changed before."""
    passes = Passes(load_generators(checkpoint), CPU, reconstructions=False)
    change(passes)
    with Shards(cohort.shards) as shards:
        learned, unseen = (slices_of(shards, cohort, part) for part in ("train", "test"))
        passes.estimate(learned, 0)
        numbers = translation_errors(passes, unseen, mean_image(learned, 0), 0)
    assert [number.test for number in numbers if number.measure == "l1_without"] == ["knock_out"] * 2
    return {(number.measure, number.modality): number.value for number in numbers}, passes


def content(cohort: TinyCohort, part: str) -> np.ndarray:
    """(slices, 2, H, W) with content in A and B."""
    with Shards(cohort.shards) as shards:
        volumes = [shards.read(name, "images")[1:-1] for name in getattr(read_split(cohort.split), part)]
    return np.concatenate(volumes).astype(np.float32)


def without_shared(passes: Passes, images: Tensor) -> Tensor:
    """Y' of X, layer by layer, with one shared layer whose output is flat."""
    passes._use("Y_trans")
    network = passes.method.generator.branch(0)
    features = network.encode(images)
    shared = network.decoder[0](torch.cat([features[3], network.upsample[0](features[4])], 1))
    handed_on = network.upsample[1](shared)
    flat = torch.ones_like(handed_on) * handed_on.mean((0, 2, 3))[None, :, None, None]
    second = network.decoder[1](torch.cat([features[2], flat], 1))
    third = network.decoder[2](torch.cat([features[1], network.upsample[2](second)], 1))
    fourth = network.decoder[3](torch.cat([features[0], network.upsample[3](third)], 1))
    return network.output(fourth)


def test_errors_are_those_of_the_images(tiny_cohort: TinyCohort, pretrained: Path) -> None:
    found_errors, passes = errors(tiny_cohort, pretrained)
    real, mean = content(tiny_cohort, "test"), content(tiny_cohort, "train").mean(axis=0)
    with torch.inference_mode():
        made = passes.images(torch.from_numpy(real))
        flat = without_shared(passes, torch.from_numpy(real[:, :1]))[:, 0].numpy()
    for channel, (modality, name) in enumerate((("A", "X_trans"), ("B", "Y_trans"))):
        own = real[:, channel]
        assert found_errors["l1", modality] == pytest.approx(np.abs(made[name][:, 0].numpy() - own).mean(), rel=1e-4)
        assert found_errors["l1_zero", modality] == pytest.approx(np.abs(own).mean(), rel=1e-4)
        assert found_errors["l1_mean", modality] == pytest.approx(np.abs(own - mean[channel]).mean(), rel=1e-4)
    assert found_errors["l1_without", "B"] == pytest.approx(np.abs(flat - real[:, 1]).mean(), rel=1e-4)
    assert found_errors["l1_without", "B"] != pytest.approx(found_errors["l1", "B"], rel=1e-6)


def test_generators_that_give_nothing_have_the_error_of_nothing(tiny_cohort: TinyCohort, pretrained: Path) -> None:
    def silence(passes: Passes) -> None:
        for branch in (passes.method.generator.branch(0), passes.method.generator.branch(1)):
            for parameter in branch.output.parameters():
                torch.nn.init.zeros_(parameter)

    found_errors, _ = errors(tiny_cohort, pretrained, silence)
    for modality in "AB":
        assert found_errors["l1", modality] == found_errors["l1_without", modality] == found_errors["l1_zero", modality]


def perfect(cohort: TinyCohort) -> Callable[[Passes], None]:
    """Translations are the partner itself, and the feature of either is X."""
    pairs = np.concatenate([content(cohort, part) for part in ("train", "test")])
    partners = {y.tobytes(): x for x, y in pairs} | {x.tobytes(): y for x, y in pairs}

    def change(passes: Passes) -> None:
        def translate(images: Tensor, source: int, target: int) -> tuple[Tensor, Tensor]:
            made = torch.from_numpy(np.stack([partners[image.numpy().tobytes()] for image in images[:, 0]]))[:, None]
            return made, made if target == 0 else images

        passes.method.translate = translate  # type: ignore[method-assign]

    return change


def retrieved(cohort: TinyCohort, checkpoint: Path, change: Callable[[Passes], None]) -> dict[str, float]:
    passes = Passes(load_generators(checkpoint), CPU, reconstructions=False)
    change(passes)
    with Shards(cohort.shards) as shards:
        return {number.measure: number.value for number in retrieval(passes, slices_of(shards, cohort, "test"), 0)}


def test_perfect_generators_have_no_error_and_find_every_partner(tiny_cohort: TinyCohort, pretrained: Path) -> None:
    pairs = np.concatenate([content(tiny_cohort, part) for part in ("train", "test")])
    passes = Passes(load_generators(pretrained), CPU, reconstructions=False)
    perfect(tiny_cohort)(passes)
    with Shards(tiny_cohort.shards) as shards:
        numbers = translation_errors(passes, slices_of(shards, tiny_cohort, "test"), torch.zeros(1, 2, 32, 32), 0)
    assert [number.value for number in numbers if number.measure == "l1"] == [0, 0]
    assert len({image.tobytes() for image in pairs[:, 0]}) == len(pairs)
    assert retrieved(tiny_cohort, pretrained, perfect(tiny_cohort))["features"] == pytest.approx(1)


def test_partners_are_sought_by_the_cosine_of_what_the_contrast_compares(
    tiny_cohort: TinyCohort, pretrained: Path
) -> None:
    passes = Passes(load_generators(pretrained), CPU, reconstructions=False)
    with torch.inference_mode():
        features = passes.features(torch.from_numpy(content(tiny_cohort, "test"))).flatten(1).double().numpy()
    of_x, of_y = np.split(features / np.linalg.norm(features, axis=1, keepdims=True), 2)
    nearest = [(of_y @ x).argmax() for x in of_x], [(of_x @ y).argmax() for y in of_y]
    expected = np.mean([found == np.arange(12) for found in nearest])
    assert 0 < expected < 1
    assert retrieved(tiny_cohort, pretrained, lambda passes: None)["features"] == pytest.approx(expected)


def test_the_same_silhouette_everywhere_tells_nothing(tiny_cohort: TinyCohort, pretrained: Path) -> None:
    """The tiny cohort's bodies are one disc, but for pixels whose value is 0 by chance."""
    numbers = retrieved(tiny_cohort, pretrained, lambda passes: None)
    assert numbers["silhouettes"] == pytest.approx(1 / 12)
    assert numbers["chance"] == pytest.approx(1 / 12)  # all twelve slices are one batch


@pytest.fixture(scope="module")
def of_all_widths(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    """Every slice of the two test patients has a silhouette of its own, the same in both modalities."""
    folder = tmp_path_factory.mktemp("widths")
    made = [(f"p{seed}", tiny_volumes(seed)) for seed in range(6)]
    for seed, (_, subject) in enumerate(made):
        for volume in subject.volumes.values():
            for row in range(len(volume)):
                volume[row, :, : 6 + 2 * row + seed % 2] = 0
    write_subjects(folder / "0.h5", made)
    split = folder / "split.json"
    split.write_text('{"format": "mcd-split/1", "train": ["p0", "p1", "p2", "p3"], "test": ["p4", "p5"]}')
    return TinyCohort(folder, [name for name, _ in made], [folder / "0.h5"], split)


def test_silhouettes_of_their_own_give_every_partner_away(of_all_widths: TinyCohort, pretrained: Path) -> None:
    assert retrieved(of_all_widths, pretrained, lambda passes: None)["silhouettes"] == 1


def test_slices_are_placed_as_the_pretraining_placed_them(of_all_widths: TinyCohort, pretrained: Path) -> None:
    def moving(passes: Passes) -> None:
        passes.method.options = passes.method.options.model_copy(update={"shift": 0.5})

    assert retrieved(of_all_widths, pretrained, moving)["silhouettes"] < 0.5


def test_a_partner_is_found_where_it_is_the_most_similar() -> None:
    assert found(torch.eye(5)) == 1
    assert found(torch.eye(5).roll(1, 0)) == 0
    assert found(torch.zeros(4, 4)) == pytest.approx(1 / 4)  # features that have collapsed
    one_way = torch.tensor([[1.0, 0.0], [2.0, 3.0]])  # rows: both found; columns: y_0 prefers x_1
    assert found(one_way) == pytest.approx((1 + 0.5) / 2)


def test_overlaps_are_intersections_over_unions() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.random((3, 1, 5, 5)) < 0.5 for _ in range(2))
    a[2] = b[1] = False
    expected = [[(x & y).sum() / (x | y).sum() if (x | y).any() else 1 for y in b] for x in a]
    np.testing.assert_allclose(overlaps(torch.from_numpy(a), torch.from_numpy(b)), expected)


def test_what_is_knocked_out_is_called_what_it_is() -> None:
    assert innermost(DomainSharingGenerator(2, shared=2)) == (2, SHARED)
    assert innermost(DomainSharingGenerator(2, shared=0)) == (1, INNERMOST)

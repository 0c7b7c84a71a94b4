import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from wiring import assert_one_loss, watch

from mcd.errors import McdError
from mcd.models.encoder import Encoder
from mcd.pretraining.cpc import CPC, GRID, SKIPPED, overlapping_patches
from mcd.pretraining.options import CPCOptions
from mcd.slices.batches import Batch


def _cpc(filters: int = 4, **options: Any) -> CPC:
    torch.manual_seed(0)
    return CPC(CPCOptions(**options), filters, ("A",), (64, 64))


def test_patches_overlap_by_half() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 1, 64, 64) + 1
    patches = overlapping_patches(images, 16)
    assert patches.shape == (2, GRID, GRID, 1, 16, 16)
    for row in range(GRID):
        for column in range(GRID):
            here = images[:, :, 8 * row : 8 * row + 16, 8 * column : 8 * column + 16]
            torch.testing.assert_close(patches[:, row, column], here, atol=1e-4, rtol=0)


def test_a_context_knows_its_row_and_those_above_alone() -> None:
    method = _cpc()
    features = torch.randn(1, method.encoder.channels, GRID, GRID)
    for row in range(GRID):
        changed = features.clone()
        changed[:, :, row + 1 :] += 10
        before, after = method.context(features), method.context(changed)
        assert torch.equal(before[:, :, : row + 1], after[:, :, : row + 1])
        assert row == GRID - 1 or not torch.allclose(before[:, :, row + 1], after[:, :, row + 1])
    top = features.clone()
    top[:, :, 0] += 10
    assert not torch.allclose(method.context(top)[:, :, 4], method.context(features)[:, :, 4])  # the last that predicts


def test_a_patch_does_not_see_the_others_of_its_batch() -> None:
    method = _cpc().train()
    patches = torch.randn(20, 1, 16, 16)
    with torch.no_grad():
        assert torch.allclose(method.encoder(patches)[:1], method.encoder(patches[:1]), atol=1e-6)
        leaking = Encoder(4).train()
        assert not torch.allclose(leaking(patches)[:2], leaking(patches[:2]), atol=1e-2)  # what batch norm would do


def test_a_new_network_guesses(bodies: Callable[..., Batch]) -> None:
    losses = _cpc().losses(bodies(8), "network")
    assert abs(losses["total"].item() - math.log(17)) < 0.3
    assert losses["accuracy"] < 0.2


def test_features_that_are_all_alike_cost_the_logarithm_exactly(bodies: Callable[..., Batch]) -> None:
    method = _cpc(negatives=7)
    for name, weight in method.encoder.named_parameters():
        if name.endswith("4.weight"):  # of each block's last normalisation: its output is its bias, 0
            torch.nn.init.zeros_(weight)
    assert method.losses(bodies(4), "network")["total"].item() == pytest.approx(math.log(8), rel=1e-5)


def test_targets_are_the_rows_below_in_the_same_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each patch knows where it is, and the maps move a place down by k + 1 rows: always right, but for rare ties."""
    method = _cpc()
    places = F.one_hot(torch.arange(49).repeat(2), method.encoder.channels).float()  # of two slices
    monkeypatch.setattr(method.encoder, "forward", lambda patches: places)
    monkeypatch.setattr(method.context, "forward", lambda features: features)  # a context is the patch itself
    batch = Batch(torch.ones(2, 1, 64, 64), None, torch.arange(2), torch.zeros(2), torch.ones(2, 1))

    def loss(too_far: int) -> float:
        for step, map_ in enumerate(method.maps, start=1):
            down = (step + 1 + too_far) * GRID
            monkeypatch.setattr(map_, "forward", lambda at, down=down: 100 * at.roll(down, dims=1))
        torch.manual_seed(0)
        return method.losses(batch, "network")["total"].item()

    assert loss(0) < math.log(2)  # the same place of the other slice, where it is drawn, is as good
    assert loss(1) > 5
    assert loss(-1) > 5


def test_patches_without_tissue_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body on the left only, in a box as wide as the slice: only its patches are predicted."""
    method = _cpc(negatives=4)
    predicted: list[int] = []

    def record(contexts: torch.Tensor) -> torch.Tensor:
        predicted.append(len(contexts))
        return contexts

    for map_ in method.maps:
        monkeypatch.setattr(map_, "forward", record)
    images = torch.zeros(2, 1, 64, 64)
    images[:, :, :, :8] = torch.randn(2, 1, 64, 8)
    images[:, :, 0, 63] = 1.0  # widens the box; one pixel makes no tissue
    method.losses(Batch(images, None, torch.arange(2), torch.zeros(2), torch.ones(2, 1)), "network")
    assert predicted == [2 * rows for rows in (5, 4, 3, 2, 1)]  # one column, of two slices


def test_the_tips_of_bodies_do_not_break_it() -> None:
    images = torch.zeros(3, 1, 64, 64)
    images[:, :, 32, 32] = 1.0
    losses = _cpc().losses(Batch(images, None, torch.arange(3), torch.zeros(3), torch.ones(3, 1)), "network")
    assert torch.isfinite(losses["total"])
    losses["total"].backward()


def test_hands_back_an_encoder_for_batch_norm(bodies: Callable[..., Batch], learn: Callable[..., Any]) -> None:
    """After some training the U-Net's own encoder, in evaluation, gives features like those that were trained."""
    method, batch = _cpc(), bodies(8)
    learn(method, batch, 10)
    patches = overlapping_patches(batch.images, 16).flatten(0, 2)
    plain, raw = Encoder(4).eval(), Encoder(4).eval()
    plain.load_state_dict(method.unet_state("A"))
    raw.load_state_dict(method.encoder.state_dict())
    with torch.no_grad():
        trained = method.encoder(patches)

        def error(other: Encoder) -> float:
            return float((other(patches) - trained).norm() / (trained - trained.mean(0)).norm())

        assert error(plain) < 0.5 * error(raw)


def test_neighbours_are_not_in_one_batch() -> None:
    slices: Any = SimpleNamespace(subject_of=np.repeat(np.arange(6), 20), height_of=np.tile(np.linspace(0, 1, 20), 6))
    for batch in _cpc().batches(slices, 8, np.random.default_rng(0)):
        for subject in np.unique(slices.subject_of[batch]):
            heights = np.sort(slices.height_of[batch][slices.subject_of[batch] == subject])
            assert (np.diff(heights) >= 0.1 - 1e-9).all()


def test_more_steps_than_rows_are_refused() -> None:
    steps = GRID - 1 - SKIPPED  # all that the rows of patches allow
    CPCOptions(steps=steps)
    with pytest.raises(McdError, match=f"steps: .* less than or equal to {steps}"):
        CPCOptions.read({"steps": steps + 1}, "cpc")


def test_learns_one_batch(bodies: Callable[..., Batch], learn: Callable[..., Any]) -> None:
    rows = learn(_cpc(), bodies(6), 15)
    assert rows[-1]["total"] < 0.85 * rows[0]["total"]
    assert rows[-1]["accuracy"] > 2 * rows[0]["accuracy"]


def test_the_total_is_info_nce_of_the_rows_below_with_negatives_from_the_whole_batch() -> None:
    """Prediction by prediction, with the negatives that the same seed draws; everything that was built learns."""
    torch.manual_seed(0)
    images = F.interpolate(torch.randn(2, 1, 9, 9), (64, 64), mode="bicubic") + 3
    batch = Batch(images, None, torch.arange(2), torch.zeros(2), torch.ones(2, 1))
    method = _cpc(filters=2, steps=3, negatives=4, context_layers=2, tissue=0.0)
    with torch.no_grad():
        for weight in method.maps.parameters():
            weight.mul_(5)  # the maps matter
    seen = watch(method.encoder)
    torch.manual_seed(1)
    losses = method.losses(batch, "network")
    (patches,) = seen
    for n, row, column in ((0, 0, 0), (0, 2, 5), (1, 6, 3)):
        here = images[n, :, 8 * row : 8 * row + 16, 8 * column : 8 * column + 16]
        torch.testing.assert_close(patches[49 * n + GRID * row + column], here, atol=1e-4, rtol=0)

    features = method.encoder(patches)  # 98 candidates
    context = method.context(features.view(2, GRID, GRID, -1).permute(0, 3, 1, 2))
    torch.manual_seed(1)
    totals, accuracies = [], []
    for k, map_ in enumerate(method.maps, start=1):
        costs, right = [], []
        rows = GRID - k - 1
        draws = iter(torch.randint(1, 98, (2 * rows * GRID, 4)))
        for n in range(2):
            for row in range(rows):
                for column in range(GRID):
                    own = 49 * n + GRID * (row + k + 1) + column
                    predicted = map_(context[n, :, row, column])
                    score = predicted @ features[own]
                    others = predicted @ features[(own + next(draws)) % 98].T
                    costs.append(-torch.log(score.exp() / (score.exp() + others.exp().sum())))
                    right.append(bool(score > others.max()))
        totals.append(torch.stack(costs).mean())
        accuracies.append(np.mean(right))
    expected = torch.stack(totals).mean()
    assert assert_one_loss(losses["total"], expected, method) == {"encoder", "context", "maps"}
    assert losses["accuracy"].item() == pytest.approx(np.mean(accuracies))

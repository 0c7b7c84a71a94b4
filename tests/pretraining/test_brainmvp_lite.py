"""BrainMVP-lite: its views, its three terms and their stages, its templates."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mcd.models.unet import UNet, layer_keys
from mcd.pretraining.blocks import random_blocks
from mcd.pretraining.brainmvp_lite import BrainMVPLite
from mcd.pretraining.options import BrainMVPLiteOptions
from mcd.slices.batches import Batch

STAGES = {0: (False, False), 1: (False, False), 2: (True, False), 6: (True, False), 7: (True, True), 9: (True, True)}
"""Of ten epochs: whether a view is filled from the other modality, and whether InfoNCE counts."""


def make(**options: Any) -> BrainMVPLite:
    torch.manual_seed(0)
    method = BrainMVPLite(BrainMVPLiteOptions(**options), 4, ["A", "B"], (32, 32))
    with torch.no_grad():
        method.templates.normal_()
    return method


def one_step(method: BrainMVPLite, batch: Batch, seed: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """The network's input, its output with the gradient, and the losses of one step."""
    kept: dict[str, torch.Tensor] = {}
    first = method.unet.encoder[0].register_forward_pre_hook(lambda _, inputs: kept.update(seen=inputs[0].detach()))

    def keep(_: Any, __: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        kept["said"] = output

    last = method.unet.output.register_forward_hook(keep)
    torch.manual_seed(seed)
    losses = method.losses(batch, "network")
    method.zero_grad()
    losses["total"].backward()
    first.remove()
    last.remove()
    return kept["seen"], kept["said"], losses


def drawn(seed: int) -> tuple[int, torch.Tensor, torch.Tensor]:
    """The modality and the replaced blocks of the two views of a step."""
    torch.manual_seed(seed)
    modality = int(torch.randint(2, ()))
    first, second = (random_blocks(8, (32, 32), 8, 0.8) for _ in range(2))
    return modality, first, second


def seed_of(modality: int) -> int:
    return next(seed for seed in range(20) if drawn(seed)[0] == modality)


@pytest.mark.parametrize(("epoch", "stage"), STAGES.items())
def test_the_stages_are_the_authors_shares_of_the_training(epoch: int, stage: tuple[bool, bool]) -> None:
    method = make()
    method.before_epoch(epoch, 10)
    assert (method.crossing, method.contrasting) == stage


@pytest.mark.parametrize("modality", [0, 1])
@pytest.mark.parametrize("epoch", [0, 5])
def test_blocks_come_from_the_template_and_from_the_other_modality(
    modality: int, epoch: int, bodies: Callable[..., Batch]
) -> None:
    method, batch, seed = make(), bodies(channels=2, size=(32, 32)), seed_of(modality)
    method.before_epoch(epoch, 10)
    seen, _, _ = one_step(method, batch, seed)
    _, by_template, by_other = drawn(seed)
    assert by_template.float().mean() == by_other.float().mean() == 13 / 16
    assert not torch.equal(by_template, by_other)
    x, y = batch.images[:, modality, None], batch.images[:, 1 - modality, None]
    template = method.template(modality, batch.heights).detach() * (x != 0)
    first, second = seen.chunk(2)
    assert torch.equal(first, torch.where(by_template, template, x))
    assert torch.equal(second, torch.where(by_other, y if epoch else template, x))
    assert (first[x == 0] == 0).all()


def info_nce(a: torch.Tensor, b: torch.Tensor, temperature: float) -> float:
    a, b = (F.normalize(features.flatten(1).double(), dim=1) for features in (a, b))
    losses = []
    for one, other in ((a, b), (b, a)):
        for i in range(len(one)):
            scores = np.exp([float(one[i] @ other[j]) / temperature for j in range(len(other))])
            losses.append(-np.log(scores[i] / scores.sum()))
    return float(np.mean(losses))


@pytest.mark.parametrize("epoch", [0, 5, 9])
def test_the_total_is_ten_errors_one_and_info_nce(epoch: int, bodies: Callable[..., Batch]) -> None:
    method, batch, seed = make(temperature=0.5), bodies(channels=2, size=(32, 32)), seed_of(1)
    method.before_epoch(epoch, 10)
    seen, said, losses = one_step(method, batch, seed)
    with torch.no_grad():
        bottleneck = method.unet.encode(seen)[-1]
    x = batch.images[:, 1:]
    tissue = (x != 0).numpy()
    errors = [((half.detach() - x).double().numpy()[tissue] ** 2).mean() for half in said.chunk(2)]
    of_template, of_other = bottleneck.chunk(2)
    contrast = info_nce(of_template, of_other, temperature=0.5)
    assert losses["template"].item() == pytest.approx(errors[0], rel=1e-5)
    assert losses["cross_modal"].item() == pytest.approx(errors[1], rel=1e-5)
    assert losses["contrast"].item() == pytest.approx(contrast, rel=1e-5)
    expected = 10 * errors[0] + errors[1] + (contrast if epoch == 9 else 0)
    assert losses["total"].item() == pytest.approx(expected, rel=1e-5)
    assert said.grad is not None
    assert torch.equal(said.grad != 0, torch.from_numpy(np.tile(tissue, (2, 1, 1, 1))))
    _, by_template, by_other = drawn(seed)
    for name, half, replaced in zip(
        ("explained_by_template", "explained"), said.detach().chunk(2), (by_template, by_other), strict=True
    ):
        asked = replaced & (x != 0)
        share = 1 - (half - x)[asked].square().mean() / x[asked].var(correction=0)
        assert losses[name].item() == pytest.approx(share.item(), rel=1e-3)


def test_a_template_learns_where_it_was_shown_and_the_other_one_does_not(bodies: Callable[..., Batch]) -> None:
    method, batch, seed = make(template_slices=3), bodies(channels=2, size=(32, 32)), seed_of(1)
    method.before_epoch(9, 10)
    one_step(method, batch, seed)
    gradient = method.templates.grad
    assert gradient is not None
    assert (gradient[0] == 0).all()
    _, by_template, _ = drawn(seed)
    shown = by_template[:, 0] & (batch.images[:, 1] != 0)
    lower, upper = batch.heights < 0.5, batch.heights > 0.5
    assert torch.equal(gradient[1, 0] != 0, shown[lower].any(0))
    assert torch.equal(gradient[1, 2] != 0, shown[upper].any(0))
    assert torch.equal(gradient[1, 1] != 0, shown[1:-1].any(0))  # the first slice lies at 0, the last at 1


def test_a_template_is_linear_between_its_slices() -> None:
    method = make(template_slices=3)
    own = method.templates[0]
    heights = torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0])
    expected = [own[0], (own[0] + own[1]) / 2, own[1], 0.2 * own[1] + 0.8 * own[2], own[2]]
    torch.testing.assert_close(method.template(0, heights)[:, 0], torch.stack(expected))
    alone = make(template_slices=1)
    assert all(torch.equal(one, alone.templates[1, 0]) for one in alone.template(1, heights)[:, 0])


def test_templates_begin_at_zero_and_the_contrast_reaches_the_encoder_through_both_views(
    bodies: Callable[..., Batch],
) -> None:
    torch.manual_seed(0)
    assert (BrainMVPLite(BrainMVPLiteOptions(), 2, ["A", "B"], (32, 32)).templates == 0).all()
    method, batch = make(), bodies(channels=2, size=(32, 32))
    restore = method._restore
    kept = []

    def keep(views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output, bottleneck = restore(views)
        bottleneck.retain_grad()
        kept.append(bottleneck)
        return output, bottleneck

    method._restore = keep  # type: ignore[method-assign]
    method.losses(batch, "network")["contrast"].backward()
    gradient = kept[0].grad
    assert gradient is not None
    assert all((half != 0).any() for half in gradient.chunk(2))
    assert method.unet.output.weight.grad is None


def test_neighbouring_slices_do_not_share_a_batch() -> None:
    class Slices:
        subject_of = np.repeat(np.arange(4), 20)
        height_of = np.tile(np.linspace(0, 1, 20), 4)

    for indices in make().batches(Slices, 8, np.random.default_rng(0)):  # type: ignore[arg-type]
        for subject in range(4):
            heights = np.sort(Slices.height_of[indices[Slices.subject_of[indices] == subject]])
            assert (np.diff(heights) >= 0.1).all()


def test_learns_from_the_other_modality(bodies: Callable[..., Batch], learn: Callable[..., Any]) -> None:
    """B is the negative of A, so it tells all about A."""
    torch.manual_seed(0)
    method = BrainMVPLite(BrainMVPLiteOptions(template=1.0), 4, ["A", "B"], (32, 32))
    one = bodies(size=(32, 32))
    both = replace(one, images=torch.cat([one.images, -one.images], dim=1), ranges=one.ranges.repeat(1, 2))
    rows = learn(method, both, 60, 3e-3)

    def mean(name: str, part: slice) -> float:
        return float(np.mean([row[name] for row in rows[part]]))

    for name, share in (("template", 0.9), ("cross_modal", 0.7), ("contrast", 1.0)):
        assert mean(name, slice(-10, None)) < share * mean(name, slice(10))
    assert mean("explained", slice(-10, None)) > 0.3
    assert (method.templates != 0).any()


def test_hands_back_the_same_u_net_for_both_and_no_template() -> None:
    method = make()
    for modality in ("A", "B"):
        state = method.unet_state(modality)
        assert method.trained_keys(state) == layer_keys(UNet(4).state_dict(), 4)
        assert all(torch.equal(state[name], value) for name, value in method.unet.named_parameters())

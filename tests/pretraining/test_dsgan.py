"""DSGAN: each loss from the equations, and gradients that reach just the parts they should."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from wiring import assert_one_loss, cosine, watch

from mcd.errors import McdError
from mcd.losses.adversarial import discriminator_loss, generator_loss
from mcd.losses.contrastive import multimodal_contrastive
from mcd.pretraining import dsgan
from mcd.pretraining.dsgan import DSGAN, shifted
from mcd.pretraining.options import DSGANOptions
from mcd.slices.batches import Batch

FULL = DSGANOptions(discriminator_filters=4)
VARIANTS = {
    "con_only": FULL.model_copy(update={"shared": 0, "adversarial": 0, "translation": 0, "reconstruction": 0}),
    "p_gan": FULL.model_copy(update={"shared": 0, "reconstruction": 0, "contrastive": 0}),
    "cycle_gan": FULL.model_copy(update={"shared": 0, "translation": 0, "contrastive": 0}),
    "cycle_p_gan": FULL.model_copy(update={"shared": 0, "contrastive": 0}),
    "multi_dos": FULL.model_copy(update={"contrastive": 0}),
    "multi_con": FULL.model_copy(update={"shared": 0}),
    "multi_condos": FULL,
    "translation_and_contrast": FULL.model_copy(update={"adversarial": 0, "reconstruction": 0}),
}


def make_batch(n: int = 3, size: int = 32) -> Batch:
    torch.manual_seed(5)
    return Batch(torch.randn(n, 2, size, size), None, torch.arange(n), torch.linspace(0, 1, n), torch.full((n, 2), 4.0))


def make(options: DSGANOptions) -> DSGAN:
    torch.manual_seed(3)
    return DSGAN(options, 4, ("CT", "PET"))


def grads(model: torch.nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.mark.parametrize("name", VARIANTS)
def test_losses_are_those_of_the_equations(name: str) -> None:
    """Recomputed from the generator's outputs with separate forward passes, in evaluation mode."""
    options = VARIANTS[name]
    model, batch = make(options).eval(), make_batch()
    x, y = batch.images[:, :1], batch.images[:, 1:]
    a, b = model.generator.branch(0), model.generator.branch(1)
    with torch.no_grad():
        losses = model.losses(batch, "generator")
        y_translated, x_translated = a(x), b(y)
        expected = {}
        if options.adversarial:
            expected["adversarial"] = generator_loss(model.discriminators[1](y_translated)) + generator_loss(
                model.discriminators[0](x_translated)
            )
        if options.translation:
            expected["translation"] = (y_translated - y).abs().mean() + (x_translated - x).abs().mean()  # Eq. 5
        if options.reconstruction:
            expected["reconstruction"] = (b(y_translated) - x).abs().mean() + (
                a(x_translated) - y
            ).abs().mean()  # Eq. 6
        if options.contrastive:

            def feature(unet: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
                return unet.forward_with_stages(images)[1][1]  # type: ignore[operator]

            expected["contrastive"] = multimodal_contrastive(feature(a, x), feature(b, y), 0.1)
            if options.adversarial or options.translation:
                expected["contrastive"] += multimodal_contrastive(
                    feature(a, x_translated), feature(b, y_translated), 0.1
                )
    total = losses.pop("total")
    assert set(losses) == set(expected)
    for loss, value in expected.items():
        torch.testing.assert_close(losses[loss], value)
    torch.testing.assert_close(total, sum(getattr(options, loss) * value for loss, value in expected.items()))


def test_discriminators_judge_real_against_translated() -> None:
    model, batch = make(FULL).eval(), make_batch()
    x, y = batch.images[:, :1], batch.images[:, 1:]
    model.losses(batch, "generator")
    with torch.no_grad():
        of_x, of_y = model.discriminators[0], model.discriminators[1]
        expected = discriminator_loss(of_x(x), of_x(model.generator.branch(1)(y))) + discriminator_loss(
            of_y(y), of_y(model.generator.branch(0)(x))
        )
        torch.testing.assert_close(model.losses(batch, "discriminator")["total"], expected)


def test_each_branch_sees_the_pair_at_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loss of G_a at one place, of G_b at the other, and L_C between the two."""
    options = FULL.model_copy(update={"shift": 0.2})
    model, batch = make(options).eval(), make_batch(size=48)
    places: list[torch.Tensor] = []

    def remember(images: torch.Tensor, share: float) -> torch.Tensor:
        places.append(shifted(images, share))
        return places[-1]

    monkeypatch.setattr(dsgan, "shifted", remember)
    with torch.no_grad():
        losses = model.losses(batch, "generator")
        at_x, at_y = places
        assert not torch.equal(at_x, at_y)
        x, y_at_x, x_at_y, y = at_x[:, :1], at_x[:, 1:], at_y[:, :1], at_y[:, 1:]
        (y_translated, features_x), (x_translated, features_y) = (
            branch.forward_with_stages(images)
            for branch, images in ((model.generator.branch(0), x), (model.generator.branch(1), y))
        )
        torch.testing.assert_close(
            losses["translation"], (y_translated - y_at_x).abs().mean() + (x_translated - x_at_y).abs().mean()
        )
        (x_again, again_y), (y_again, again_x) = (
            branch.forward_with_stages(images)
            for branch, images in ((model.generator.branch(1), y_translated), (model.generator.branch(0), x_translated))
        )
        torch.testing.assert_close(losses["reconstruction"], (x_again - x).abs().mean() + (y_again - y).abs().mean())
        contrast = multimodal_contrastive(features_x[1], features_y[1], 0.1)
        contrast += multimodal_contrastive(again_x[1], again_y[1], 0.1)
        torch.testing.assert_close(losses["contrastive"], contrast)
        of_x, of_y = model.discriminators[0], model.discriminators[1]
        expected = discriminator_loss(of_x(x_at_y), of_x(x_translated)) + discriminator_loss(
            of_y(y_at_x), of_y(y_translated)
        )
        torch.testing.assert_close(model.losses(batch, "discriminator")["total"], expected)
        assert len(places) == 2, "the discriminators judge what the generator saw"


def test_a_shift_moves_whole_slices_within_its_bound() -> None:
    torch.manual_seed(0)
    images = torch.rand(60, 2, 20, 30) + 1
    moved = shifted(images, 0.2)
    found = set()
    for before, after in zip(images, moved, strict=True):
        rows, columns = (after[0] != 0).any(1).nonzero().flatten(), (after[0] != 0).any(0).nonzero().flatten()
        dy = int(rows[0]) or int(rows[-1]) - 19
        dx = int(columns[0]) or int(columns[-1]) - 29
        padded = F.pad(before, (6, 6, 4, 4))
        assert torch.equal(after, padded[:, 4 - dy : 24 - dy, 6 - dx : 36 - dx])
        found.add((dy, dx))
    assert {dy for dy, _ in found} == set(range(-4, 5))
    assert {dx for _, dx in found} <= set(range(-6, 7))
    assert len(found) > 30, "rows and columns are drawn for themselves, for every slice"


def test_neighbours_share_no_batch_where_batches_are_spread() -> None:
    class Slices:
        subject_of = np.repeat([0, 1, 2], 20)
        height_of = np.tile(np.linspace(0, 1, 20), 3)

        def __len__(self) -> int:
            return len(self.subject_of)

    def least_gap(batches: str) -> float:
        model, slices = make(FULL.model_copy(update={"batches": batches})), Slices()
        gaps = [
            abs(slices.height_of[i] - slices.height_of[j])
            for indices in model.batches(slices, 12, np.random.default_rng(0))  # type: ignore[arg-type]
            for i, j in itertools.combinations(indices, 2)
            if slices.subject_of[i] == slices.subject_of[j]
        ]
        return min(gaps)

    assert least_gap("spread") >= 0.1
    assert least_gap("shuffled") < 0.1


def test_the_discriminators_loss_does_not_reach_the_generator() -> None:
    model, batch = make(FULL), make_batch()
    model.losses(batch, "generator")
    model.losses(batch, "discriminator")["total"].backward()
    assert grads(model.discriminators)
    assert not grads(model.generator)


def test_contrast_alone_trains_up_to_the_feature_only() -> None:
    model = make(VARIANTS["con_only"])
    assert list(model.players()) == ["generator"]
    model.losses(make_batch(), "generator")["total"].backward()
    reached = {name.split(".", 2)[2].rsplit(".", 2)[0] for name in grads(model.generator)}
    assert any(name.startswith("encoder.0") for name in reached)
    assert any(name.startswith("decoder.0") for name in reached)
    assert not any(name.startswith(("decoder.1", "decoder.2", "decoder.3", "output", "upsample.1")) for name in reached)


def test_translation_trains_both_branches_wholly() -> None:
    model = make(FULL.model_copy(update={"adversarial": 0, "reconstruction": 0, "contrastive": 0}))
    model.losses(make_batch(), "generator")["total"].backward()
    weights = {name for name, _ in model.generator.named_parameters() if name.endswith("weight")}
    assert weights <= grads(model.generator)


@pytest.mark.parametrize("shared", [0, 1, 2, 3])
def test_the_feature_is_the_last_shared_up_layer(shared: int) -> None:
    assert make(FULL.model_copy(update={"shared": shared})).feature_stage == max(shared, 1)
    assert make(FULL.model_copy(update={"shared": shared, "feature": "bottleneck"})).feature_stage == 0


@pytest.mark.parametrize("form", ["l1", "mse"])
def test_fig_7_alternatives_replace_the_contrast(form: Any) -> None:
    options = FULL.model_copy(update={"adversarial": 0, "translation": 0, "reconstruction": 0, "feature_loss": form})
    model, batch = make(options).eval(), make_batch()
    with torch.no_grad():
        a = model.generator.branch(0).forward_with_stages(batch.images[:, :1])[1][1]
        b = model.generator.branch(1).forward_with_stages(batch.images[:, 1:])[1][1]
        distance = {"l1": F.l1_loss, "mse": F.mse_loss}[form](a, b)
        torch.testing.assert_close(model.losses(batch, "generator")["contrastive"], distance)


def test_each_modality_gets_its_own_branch() -> None:
    model = make(FULL)
    ct, pet = model.unet_state("CT"), model.unet_state("PET")
    torch.testing.assert_close(ct["encoder.4.0.weight"], pet["encoder.4.0.weight"])  # shared
    assert not torch.equal(ct["encoder.0.0.weight"], pet["encoder.0.0.weight"])
    assert set(ct) - set(model.trained_keys(ct)) == {"output.weight", "output.bias"}


def test_impossible_options_are_refused() -> None:
    with pytest.raises(McdError, match="shared"):
        DSGANOptions.read({"shared": 4}, "dsgan")
    with pytest.raises(McdError, match="temperature"):
        DSGANOptions.read({"temperature": 0}, "dsgan")


def contrast(x: Tensor, y: Tensor, temperature: float) -> Tensor:
    """Eq. 2 in both directions, pair by pair."""
    x, y = x.flatten(1), y.flatten(1)
    total = torch.zeros(())
    for i in range(len(x)):
        own = torch.exp(cosine(x[i], y[i]) / temperature)
        to_y = sum(torch.exp(cosine(x[i], y[j]) / temperature) for j in range(len(x)))
        to_x = sum(torch.exp(cosine(y[i], x[j]) / temperature) for j in range(len(x)))
        total = total - (torch.log(own / to_y) + torch.log(own / to_x)) / len(x)
    return total


@pytest.mark.parametrize("form", ["log", "least_squares"])
def test_every_gradient_is_that_of_eq_8(form: Any) -> None:
    """Equations 2 to 7 written out, each loss with a weight of its own; only the discriminators' fakes are detached."""
    weights = {"adversarial": 0.7, "translation": 3.0, "reconstruction": 2.0, "contrastive": 0.4}
    model = make(FULL.model_copy(update={**weights, "temperature": 0.5, "adversarial_form": form}))
    batch = make_batch()
    x, y = batch.images[:, :1], batch.images[:, 1:]
    a, b, of_x, of_y = (
        model.generator.branch(0),
        model.generator.branch(1),
        model.discriminators[0],
        model.discriminators[1],
    )
    shown = {player: watch(network) for player, network in (("x", of_x), ("y", of_y))}
    generator = model.losses(batch, "generator")["total"]
    discriminator = model.losses(batch, "discriminator")["total"]
    seen = {player: list(images) for player, images in shown.items()}

    def fooled(logits: Tensor, goal: float) -> Tensor:
        if form == "log":
            return -torch.log(torch.sigmoid(logits if goal == 1 else -logits)).mean()
        return (logits - goal).square().mean()

    (y_new, of_x_1), (x_new, of_y_1) = (unet.forward_with_stages(z) for unet, z in ((a, x), (b, y)))
    (x_back, of_y_2), (y_back, of_x_2) = (unet.forward_with_stages(z) for unet, z in ((b, y_new), (a, x_new)))
    expected = (
        0.7 * (fooled(of_y(y_new), 1) + fooled(of_x(x_new), 1))
        + 3.0 * ((y_new - y).abs().mean() + (x_new - x).abs().mean())
        + 2.0 * ((x_back - x).abs().mean() + (y_back - y).abs().mean())
        + 0.4 * (contrast(of_x_1[1], of_y_1[1], 0.5) + contrast(of_x_2[1], of_y_2[1], 0.5))
    )
    assert assert_one_loss(generator, expected, model) == {"generator", "discriminators"}

    for domain, real, fake in (("x", x, x_new), ("y", y, y_new)):
        for found, wanted in zip(seen[domain], (fake, real, fake), strict=True):
            torch.testing.assert_close(found, wanted.detach())
    x_new, y_new = x_new.detach(), y_new.detach()
    expected = fooled(of_x(x), 1) + fooled(of_x(x_new), 0) + fooled(of_y(y), 1) + fooled(of_y(y_new), 0)
    assert assert_one_loss(discriminator, expected, model) == {"discriminators"}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_no_loss_needs_is_not_built(name: str) -> None:
    options = VARIANTS[name]
    model = make(options)
    assert bool(model.discriminators) == bool(options.adversarial)
    assert list(model.players()) == (["generator", "discriminator"] if options.adversarial else ["generator"])
    assert {id(p) for p in model.players()["generator"]} == {id(p) for p in model.generator.parameters()}
    passes = watch(model.generator.branch(0).encoder[0])
    model.losses(make_batch(), "generator")
    assert len(passes) == (1 if name in ("con_only", "p_gan") else 2)


@pytest.mark.parametrize("loss", ["adversarial", "translation", "reconstruction", "contrastive"])
def test_one_loss_is_enough_and_none_is_refused(loss: str) -> None:
    none = dict.fromkeys(("adversarial", "translation", "reconstruction", "contrastive"), 0.0)
    assert getattr(DSGANOptions.read({**none, loss: 0.5}, "dsgan"), loss) == 0.5
    with pytest.raises(McdError, match="all weights are 0"):
        DSGANOptions.read(none, "dsgan")

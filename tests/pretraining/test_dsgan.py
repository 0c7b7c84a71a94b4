"""DSGAN: each loss from the equations, and gradients that reach just the parts they should."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from mcd.errors import McdError
from mcd.losses.adversarial import discriminator_loss, generator_loss
from mcd.losses.contrastive import multimodal_contrastive
from mcd.pretraining.dsgan import DSGAN
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
    a, b = model.generator.a, model.generator.b
    with torch.no_grad():
        losses = model.losses(batch, "generator")
        y_translated, x_translated = a(x), b(y)
        expected = {}
        if options.adversarial:
            expected["adversarial"] = generator_loss(model.discriminators["y"](y_translated)) + generator_loss(
                model.discriminators["x"](x_translated)
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
        of_x, of_y = model.discriminators["x"], model.discriminators["y"]
        expected = discriminator_loss(of_x(x), of_x(model.generator.b(y))) + discriminator_loss(
            of_y(y), of_y(model.generator.a(x))
        )
        torch.testing.assert_close(model.losses(batch, "discriminator")["total"], expected)


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
    reached = {name.split(".", 1)[1].rsplit(".", 2)[0] for name in grads(model.generator)}
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
        a = model.generator.a.forward_with_stages(batch.images[:, :1])[1][1]
        b = model.generator.b.forward_with_stages(batch.images[:, 1:])[1][1]
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

"""The networks against Table I."""

import pytest
import torch

from mcd.models.discriminator import PatchDiscriminator
from mcd.models.generator import DomainSharingGenerator
from mcd.models.unet import UNet, layer_keys


def block_parameters(before: int, after: int) -> int:
    """Two 3x3 convolutions with bias, each followed by a batch norm with scale and offset."""
    return 9 * before * after + after + 2 * after + 9 * after * after + after + 2 * after


def table_1(f: int) -> dict[str, int]:
    """Parameters of each row of Table I, by hand; a transposed convolution belongs to the layer that it ends."""

    def up(before: int, after: int) -> int:
        return 4 * before * after + after

    return {
        "input": block_parameters(1, f),
        "down1": block_parameters(f, 2 * f),
        "down2": block_parameters(2 * f, 4 * f),
        "down3": block_parameters(4 * f, 8 * f),
        "down4": block_parameters(8 * f, 16 * f) + up(16 * f, 8 * f),
        "up1": block_parameters(16 * f, 8 * f) + up(8 * f, 4 * f),
        "up2": block_parameters(8 * f, 4 * f) + up(4 * f, 2 * f),
        "up3": block_parameters(4 * f, 2 * f) + up(2 * f, f),
        "up4": block_parameters(2 * f, f),
        "output": f + 1,
    }


SHARED = {
    0: [],
    1: ["down4", "up1"],
    2: ["down3", "down4", "up1", "up2"],
    3: ["down2", "down3", "down4", "up1", "up2", "up3"],
}


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("f", [4, 64])
def test_unet_has_the_parameters_of_table_1(f: int) -> None:
    assert count(UNet(f)) == sum(table_1(f).values())


def test_unet_of_the_paper_has_31_million_parameters() -> None:
    assert count(UNet(64)) / 1e6 == pytest.approx(31.0, abs=0.05)


def test_stages_have_the_shapes_of_table_1() -> None:
    f, h, w = 4, 32, 48
    unet = UNet(f, out_channels=3).eval()
    encoded = unet.encode(torch.zeros(2, 1, h, w))
    assert [tuple(e.shape[1:]) for e in encoded] == [(f * 2**i, h // 2**i, w // 2**i) for i in range(5)]
    output, stages = unet.forward_with_stages(torch.zeros(2, 1, h, w))
    assert [tuple(s.shape[1:]) for s in stages] == [(f * 2**i, h // 2**i, w // 2**i) for i in (4, 3, 2, 1, 0)]
    assert output.shape == (2, 3, h, w)
    torch.testing.assert_close(output, unet(torch.zeros(2, 1, h, w)))


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_sharing_follows_table_1(k: int) -> None:
    rows = table_1(4)
    generator = DomainSharingGenerator(4, k)
    assert count(generator) == 2 * sum(rows.values()) - sum(rows[name] for name in SHARED[k])
    a, b = dict(generator.branch(0).named_parameters()), dict(generator.branch(1).named_parameters())
    shared = {name for name in a if a[name] is b[name]}
    expected = {f"encoder.{level}" for level in range(5 - k, 5)} | {f"decoder.{layer}" for layer in range(k)}
    expected |= {f"upsample.{layer}" for layer in range(k + 1)} if k else set()
    assert {".".join(name.split(".")[:2]) for name in shared} == expected


def test_shared_layers_share_batch_statistics() -> None:
    generator = DomainSharingGenerator(4, 1)
    generator.branch(0)(torch.randn(2, 1, 32, 32))
    torch.testing.assert_close(
        generator.branch(1).get_buffer("encoder.4.1.running_mean"),
        generator.branch(0).get_buffer("encoder.4.1.running_mean"),
    )
    assert generator.branch(1).get_buffer("encoder.3.1.running_mean").abs().sum() == 0


@pytest.mark.parametrize("k", [-1, 4])
def test_sharing_beyond_table_1_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="0 to 3"):
        DomainSharingGenerator(4, k)


def test_layer_keys_grow_to_everything_but_the_output() -> None:
    state = UNet(4).state_dict()
    sizes = [len(layer_keys(state, depth)) for depth in range(5)]
    assert sizes == sorted(sizes)
    assert set(state) - set(layer_keys(state, 4)) == {"output.weight", "output.bias"}
    assert not any(key.startswith("decoder.1") for key in layer_keys(state, 1))


def test_discriminator_sees_patches_of_70_pixels() -> None:
    """The gradient of one output logit reaches exactly 70x70 input pixels."""
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(4).eval().double()  # in training mode, batch norm would couple all pixels
    image = torch.randn(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    logits = discriminator(image)
    assert logits.shape == (1, 1, 18, 18)
    logits[0, 0, 9, 9].backward()
    assert image.grad is not None
    rows, columns = torch.nonzero(image.grad[0, 0], as_tuple=True)
    assert int(rows.max() - rows.min()) + 1 == 70
    assert int(columns.max() - columns.min()) + 1 == 70


def test_discriminator_of_pix2pix_has_2_8_million_parameters() -> None:
    assert count(PatchDiscriminator(64)) / 1e6 == pytest.approx(2.76, abs=0.01)

import torch

from mcd.models.encoder import Encoder
from mcd.models.unet import UNet, encoder_keys


def test_is_the_unets_encoder_by_name_and_by_value() -> None:
    torch.manual_seed(0)
    unet, encoder = UNet(4).eval(), Encoder(4).eval()
    assert list(encoder.state_dict()) == encoder_keys(unet.state_dict())
    encoder.load_state_dict({key: unet.state_dict()[key] for key in encoder_keys(unet.state_dict())})
    images = torch.randn(2, 1, 32, 48)
    torch.testing.assert_close(encoder.bottleneck(images), unet.encode(images)[-1])
    torch.testing.assert_close(encoder(images), unet.encode(images)[-1].mean((2, 3)))
    assert encoder(images).shape == (2, encoder.channels)

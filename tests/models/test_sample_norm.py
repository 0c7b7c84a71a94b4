import torch
from torch import nn

from mcd.models.encoder import Encoder
from mcd.models.sample_norm import SampleNorm2d, batch_norm_state, use_sample_norm


def _varied(norm: nn.BatchNorm2d) -> None:
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)


def test_a_sample_does_not_see_the_others() -> None:
    torch.manual_seed(0)
    norm = SampleNorm2d(6)
    _varied(norm)
    features = torch.randn(4, 6, 5, 5)
    alone = norm(features[:1])
    torch.testing.assert_close(norm(features)[:1], alone)
    flat = (norm(features) - norm.bias.view(-1, 1, 1)) / norm.weight.view(-1, 1, 1)
    torch.testing.assert_close(flat.mean((1, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(flat.var((1, 2, 3), correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_running_statistics_are_those_of_the_channels() -> None:
    torch.manual_seed(0)
    norm, features = SampleNorm2d(3), torch.randn(8, 3, 4, 4) * torch.tensor([1.0, 2.0, 3.0]).view(-1, 1, 1) + 5
    norm(features)  # the first batch counts in full: nothing of the initial 0 and 1 is left
    torch.testing.assert_close(norm.running_mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, features.var((0, 2, 3), correction=0))
    before = norm.running_mean.clone()
    norm.eval()(features + 1)
    torch.testing.assert_close(norm.running_mean, before)


def test_an_encoder_comes_back_with_batch_norm_that_does_the_same() -> None:
    """Exactly the same for samples of equal mean and variance: here one sample, turned and mirrored."""
    torch.manual_seed(0)
    encoder, plain = Encoder(4), Encoder(4).eval()
    names = list(encoder.state_dict())
    use_sample_norm(encoder)
    assert not [m for m in encoder.modules() if type(m) is nn.BatchNorm2d]
    for module in encoder.modules():
        if isinstance(module, SampleNorm2d):
            _varied(module)
    image = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        expected = encoder.train()(image.repeat(3, 1, 1, 1))
        state = batch_norm_state(encoder)
        assert list(state) == names
        plain.load_state_dict(state)
        torch.testing.assert_close(plain(image.repeat(3, 1, 1, 1)), expected, atol=1e-4, rtol=1e-3)
        plain.load_state_dict(encoder.state_dict())
        assert (plain(image) - expected[:1]).abs().max() > 0.1  # without the conversion it would not

"""Layer normalisation in place of batch normalisation, and the conversion back.

Where samples of a batch are each other's negatives or targets, batch normalisation lets every sample see the others, and a
network can answer from the batch statistics. Layer normalisation does not, but the networks of the tables are the U-Net
of Table I with batch normalisation. So a network may be trained with `SampleNorm2d` and converted to `BatchNorm2d`.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from mcd.distributed.shares import BatchNorm2d, moments


class SampleNorm2d(BatchNorm2d):
    """Normalises each sample by its own mean and variance over channels and space; names and shapes are `BatchNorm2d`'s.

    Running statistics are kept per channel, but only `as_batch_norm` uses them.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if self.training:
            self._track(features)
        return F.group_norm(features, 1, self.weight, self.bias, self.eps)

    def _track(self, features: Tensor) -> None:
        mean, variance, _ = moments(features)
        self.num_batches_tracked += 1
        share = (1 / self.num_batches_tracked).clamp_min(self.momentum)  # first a plain mean, then a moving one
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)

    def as_batch_norm(self) -> tuple[Tensor, Tensor]:
        """Weight and bias (C,) with which a `BatchNorm2d` of the same running statistics, in evaluation, equals this layer.

        Exact for samples of equal mean M and variance V, which the running statistics give: with a channel's m and v,

            weight (x - M) / sqrt(V) + bias = [weight sqrt(v / V)] (x - m) / sqrt(v) + [bias + weight (m - M) / sqrt(V)]
        """
        whole_mean = self.running_mean.mean()
        whole_sd = ((self.running_var + self.running_mean**2).mean() - whole_mean**2 + self.eps).sqrt()
        weight = self.weight * (self.running_var + self.eps).sqrt() / whole_sd
        return weight.detach(), (self.bias + self.weight * (self.running_mean - whole_mean) / whole_sd).detach()


def use_sample_norm(network: nn.Module) -> None:
    """Replace every `BatchNorm2d` of a new network by a `SampleNorm2d`."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is BatchNorm2d:
                setattr(parent, name, SampleNorm2d(child.num_features, child.eps, child.momentum))


def batch_norm_state(network: nn.Module) -> dict[str, Tensor]:
    """The network's state, for the same network with `BatchNorm2d`."""
    state = dict(network.state_dict())
    for name, module in network.named_modules():
        if isinstance(module, SampleNorm2d):
            state[f"{name}.weight"], state[f"{name}.bias"] = module.as_batch_norm()
    return state

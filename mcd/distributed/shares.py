"""A batch shared among processes: each runs the networks on its own slices, and all of them get every result.

Every process runs the same training, on the same batches and with the same random numbers. The expensive part, the networks,
is divided: `shared` runs a network on the process's share of a batch and gathers the outputs of all. So losses see the whole
batch, whatever the number of processes: its negatives, its codes, its accuracy. What is not divided is computed by every
process, so a method that never calls `shared` is correct, but no faster.

Gradients: the gathering of outputs and the moments of `BatchNorm2d` are differentiated as sums over processes, of the sum of
the losses of all W processes, which is W times the same loss. So the mean over processes of a parameter's gradient is its
gradient in a training of one process, whether the network was shared or not.

With one process everything here is a no-op.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

Output = TypeVar("Output", Tensor, tuple[Tensor, ...])

_in_share = False


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def shared(network: Callable[[Tensor], Output], images: Tensor) -> Output:
    """`network(images)` of (N, ...), each process computing its share: a tensor of N rows, or a tuple, the same everywhere.

    Shares differ by one row at most. Batch statistics inside are those of all N.

    Raises:
        ValueError: for fewer rows than processes.
    """
    if processes() == 1 or _in_share:
        return network(images)
    count = len(images)
    if count < processes():
        raise ValueError(f"a batch of {count} cannot be shared by {processes()} processes")
    start, stop = (number * count // processes() for number in (process(), process() + 1))
    with _share():
        outputs = network(images[start:stop])
    if isinstance(outputs, Tensor):
        return _Gather.apply(outputs, start, count)  # type: ignore[no-untyped-call]
    return tuple(_Gather.apply(output, start, count) for output in outputs)  # type: ignore[no-untyped-call]


@contextmanager
def _share() -> Iterator[None]:
    """Within this context, a batch is one process's share of a batch."""
    global _in_share
    _in_share, before = True, _in_share
    try:
        yield
    finally:
        _in_share = before


class _Gather(torch.autograd.Function):
    """Rows of all processes: each adds its own to zeros, which is exact and allows shares of any length."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, start: int, count: int) -> Tensor:
        ctx.rows = slice(start, start + len(own))
        everyone = own.new_zeros(count, *own.shape[1:])
        everyone[ctx.rows] = own
        dist.all_reduce(everyone)
        return everyone

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient[ctx.rows], None, None


def moments(features: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and biased variance (C,) of (N, C, ...) over all but channels, and the number of values, over the whole batch.

    No gradient. Single precision or better.
    """
    features = features.detach()
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    variance, mean = torch.var_mean(features, _all_but_channels(features), correction=0)
    count = features.numel() // features.shape[1]
    if not _in_share:
        return mean, variance, count
    everyone = mean.new_zeros(processes(), 3, len(mean))
    everyone[process()] = torch.stack([torch.full_like(mean, count), mean, variance])
    dist.all_reduce(everyone)
    counts, means, variances = everyone.unbind(1)
    weights = counts / counts.sum(0)
    mean = (weights * means).sum(0)
    # each share's variance about the common mean, which avoids a difference of large squares
    return mean, (weights * (variances + (means - mean) ** 2)).sum(0), int(counts[:, 0].sum())


class BatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d`, whose statistics in a share are those of the whole batch; on any device, unlike `nn.SyncBatchNorm`."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not (_in_share and self.training):
            return super().forward(features)
        mean, variance, count = moments(features)
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_((variance * count / max(count - 1, 1)).to(self.running_var), self.momentum)
        return _Normalise.apply(features, mean, variance, count, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]


class _Normalise(torch.autograd.Function):
    """Batch normalisation by given moments, with the gradient that flows through them to every share."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, mean: Tensor, variance: Tensor, count: int, weight: Tensor, bias: Tensor, eps: float
    ) -> Tensor:
        scale = (variance + eps).rsqrt()
        ctx.count = count
        ctx.save_for_backward(features, mean, scale, weight)
        # evaluation's formula, which takes the moments as they are, in one kernel and for every precision
        return F.batch_norm(features, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, mean, scale, weight = ctx.saved_tensors
        channel = (1, -1, 1, 1)
        normalised = (features.to(mean.dtype) - mean.view(channel)) * scale.view(channel)
        wide = gradient.to(mean.dtype)
        own = torch.stack([wide.sum((0, 2, 3)), (wide * normalised).sum((0, 2, 3))])
        everyone = own.clone()
        dist.all_reduce(everyone)
        offset, slope = (everyone / ctx.count).unbind(0)
        through = (wide - offset.view(channel) - normalised * slope.view(channel)) * (scale * weight).view(channel)
        return through.to(features.dtype), None, None, None, own[1].to(weight), own[0].to(weight), None


def _all_but_channels(features: Tensor) -> tuple[int, ...]:
    return (0, *range(2, features.dim()))

"""The four passes of a translation, each with batch statistics of its own.

    X' = G_b(Y)    Y' = G_a(X)    X'' = G_b(Y')    Y'' = G_a(X')

A shared layer normalises, in training, each branch's and each pass's batch by its own mean and variance; the running
statistics that it keeps are a mixture of all of them, and fit none. So the statistics of each pass are estimated anew, on
training slices, before anything is translated: otherwise a method that shares layers, or makes reconstructions, would be
scored with a normalisation that it never learned with.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from mcd.distributed.shares import BatchNorm2d
from mcd.models.unet import UNet
from mcd.pretraining.dsgan import DSGAN
from mcd.slices.batches import SliceSet
from mcd.training.device import autocast
from mcd.training.schedule import Compute

IMAGES = ("X_trans", "Y_trans", "X_rec", "Y_rec")
"""X', Y', X'', Y'', by the names of `mcd/reporting/printed/reported_results.csv`."""

SAMPLED, BATCH = 1024, 64
"""Training slices on which statistics are estimated, and how many of them at a time (our choice: 16 batches)."""

Statistics = list[tuple[Tensor, Tensor]]
"""Mean and variance of each batch normalisation of a branch, in order."""


class Passes:
    """A DSGAN's passes. `made`: the names of the images that it makes; without L_R no reconstructions, as in Table IV.

    Args:
        reconstructions: False where they are not needed.
        pair: positions of X and Y in the method's modalities, where it has more than two. Slices are those of X and Y.
    """

    def __init__(
        self, method: DSGAN, compute: Compute, *, reconstructions: bool = True, pair: tuple[int, int] = (0, 1)
    ) -> None:
        self.method, self.compute, self.pair = method, compute, pair
        self.made = IMAGES if reconstructions and method.options.reconstruction else IMAGES[:2]
        self.statistics: dict[str, Statistics] = {}

    @torch.inference_mode()
    def estimate(self, slices: SliceSet, seed: int) -> None:
        """Estimate every pass's statistics on a sample of paired training slices, as the mean over batches."""
        chosen = np.random.default_rng(seed).permutation(len(slices))[:SAMPLED]
        batches = np.array_split(chosen, max(len(chosen) // BATCH, 1))
        for name in self.made:
            branch = self._branch(name)
            # first all that the pass is given, by the passes before it: they may share layers with it
            given = [self.images(slices.batch(indices).images, before=name)[_source(name)] for indices in batches]
            with estimating(branch):
                for source in given:
                    self._run(name, source)
            self.statistics[name] = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in _norms(branch)]

    def images(self, batch: Tensor, before: str = "") -> dict[str, Tensor]:
        """Real and made images of paired slices (N, 2, H, W), each (N, 1, H, W): X, Y and `made`, or those `before` one."""
        images = {"X": batch[:, :1], "Y": batch[:, 1:2]}
        for name in self.made[: self.made.index(before) if before else None]:
            self._use(name)
            images[name] = self._run(name, images[_source(name)])[0].float()
        return images

    def features(self, batch: Tensor) -> Tensor:
        """(2N, ...) what L_C compares, of paired slices: first X's, then Y's."""
        found = []
        for name, source in (("Y_trans", batch[:, :1]), ("X_trans", batch[:, 1:2])):
            self._use(name)
            found.append(self._run(name, source)[1])
        return torch.cat(found)

    def _run(self, name: str, source: Tensor) -> tuple[Tensor, Tensor]:
        """The image of one pass, and the feature on the way."""
        with autocast(self.compute, source.device):
            return self.method.translate(source, *self._way(name))

    def _way(self, name: str) -> tuple[int, int]:
        """Positions of the modality that a pass is given, and of that which it makes."""
        x, y = self.pair
        return (y, x) if name[0] == "X" else (x, y)

    def _branch(self, name: str) -> UNet:
        return self.method.generator.branch(self._way(name)[0])

    def _use(self, name: str) -> None:
        """Normalise by a pass's statistics, where they have been estimated."""
        for norm, (mean, variance) in zip(_norms(self._branch(name)), self.statistics.get(name, ()), strict=False):
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)


def _source(name: str) -> str:
    """What a pass is given: the real image of the other modality, or its translation."""
    other = "Y" if name[0] == "X" else "X"
    return other if name.endswith("trans") else f"{other}_trans"


def _norms(branch: nn.Module) -> list[BatchNorm2d]:
    return [module for module in branch.modules() if isinstance(module, BatchNorm2d)]


@contextmanager
def estimating(branch: nn.Module) -> Iterator[None]:
    """Batch normalisations use their batches' statistics, and keep the plain mean of them."""
    norms = _norms(branch)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # type: ignore[assignment]  # as torch has it for the plain mean
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()

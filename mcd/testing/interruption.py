"""Killing a training in tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from mcd.slices.batches import Batch
from mcd.training.method import Losses, Method


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@contextmanager
def epochs_begun(method_class: type[Method]) -> Iterator[list[int]]:
    """Yield a list to which trainings of a class add the numbers of the epochs, from 0, as they begin."""
    begun: list[int] = []
    before_epoch = method_class.before_epoch

    def note(self: Method, epoch: int, epochs: int) -> None:
        begun.append(epoch)
        before_epoch(self, epoch, epochs)

    with patch.object(method_class, "before_epoch", note):
        yield begun


@contextmanager
def killed_in(epoch: int, method_class: type[Method]) -> Iterator[None]:
    """Kill a training of a class in the middle of an epoch, counted from 0: when it asks for losses for the second time.

    Raises `AssertionError` where nothing was killed.
    """
    losses, calls = method_class.losses, 0

    def die(self: Method, batch: Batch, player: str) -> Losses:
        nonlocal calls
        calls += begun[-1] == epoch
        if calls > 1:
            raise Killed
        return losses(self, batch, player)

    with epochs_begun(method_class) as begun, patch.object(method_class, "losses", die):
        try:
            yield
        except Killed:
            return
    raise AssertionError(f"{method_class.__name__}: nothing was killed in epoch {epoch}")

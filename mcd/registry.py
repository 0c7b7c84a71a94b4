"""Algorithms by name. A registry says where a class is, so that reading it loads nothing; here it is found and set up."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mcd.errors import McdError


@dataclass(frozen=True)
class Algorithm:
    """Where an algorithm's classes are, as `module:name`.

    Attributes:
        method: what is trained, a `mcd.training.method.Method`.
        options: its options, a `mcd.section.Section`; in a module without torch, a configuration is checked without it.
        multimodal: whether one training sees both modalities of a pair as paired images, so that it needs a pair.
        unlabelled: whether it learns from unlabelled slices beside the labelled ones, so that some must be left.
    """

    method: str
    options: str
    multimodal: bool = False
    unlabelled: bool = False


def load(place: str) -> Any:
    """The object that stands at `module:name`."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def find(registry: Mapping[str, Algorithm], algorithm: str) -> Algorithm:
    """An algorithm of a registry; `McdError` for one that it does not have."""
    if algorithm not in registry:
        raise McdError(f"algorithm {algorithm!r} is unknown; there are {', '.join(registry)}")
    return registry[algorithm]

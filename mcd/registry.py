"""Algorithms by name. A registry says where a class is, so that reading it imports nothing; this module looks it up."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any

from mcd.errors import McdError


@dataclass(frozen=True)
class Algorithm:
    """Where an algorithm's classes are, as `module:name`.

    Attributes:
        method: what is trained, a `mcd.training.method.Method`.
        options: its options, a `mcd.section.Section`, in a module that does not import torch, so that a configuration can be
            checked without it.
        multimodal: whether one training sees both modalities of a pair as paired images, so that it needs a pair.
        any_number: whether such a training may also see more than two modalities, a pair of them in each step.
        unlabelled: whether it also learns from unlabelled slices, so that some patients must be left unlabelled.
    """

    method: str
    options: str
    multimodal: bool = False
    any_number: bool = False
    unlabelled: bool = False


@dataclass(frozen=True)
class Baseline:
    """A method beyond the paper's tables: an algorithm, and its row in the tables.

    Another package adds it by an entry point of the group `mcd.pretraining` or `mcd.segmentation`, which names an
    object of this class; the entry point's name is that of the algorithm, of its options and of the row in a configuration.

    Attributes:
        label: of the row.
        group: its heading in Table II.
        hands_back: of a pre-training: which layers of the U-Net it trains, in words.
    """

    label: str
    algorithm: Algorithm
    group: str
    hands_back: str = "encoder"


def added(group: str) -> dict[str, Any]:
    """What installed packages add by the entry points of a group, such as `mcd.metrics`: name -> object.

    Raises:
        McdError: if one of them cannot be loaded.
    """
    found = {}
    for name, place in places_of(group).items():
        try:
            found[name] = resolve_name(place)
        except Exception as error:  # whatever somebody else's module raises
            raise McdError(
                f"{place}: entry point {name} of {group} cannot be loaded ({error}); correct that package, or uninstall it"
            ) from error
    return found


def places_of(group: str) -> dict[str, str]:
    """The entry points of a group, without loading them: name -> `module:name`."""
    return {entry.name: entry.value for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)}


def find(registry: Mapping[str, Algorithm], algorithm: str) -> Algorithm:
    """An algorithm of a registry; `McdError` for one that it does not have."""
    if algorithm not in registry:
        raise McdError(f"algorithm {algorithm!r} is unknown; there are {', '.join(registry)}")
    return registry[algorithm]

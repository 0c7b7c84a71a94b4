"""Checkpoints that say what they are (format in docs/reference/formats.md), and the resume file of a running training."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcd.digests import digest
from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.version import code_version

log = logging.getLogger(__name__)

FORMAT = "mcd-checkpoint/1"

_NAMED = 3  # differences of two identities that the log names


@dataclass
class Checkpoint:
    """A trained network's weights with their description.

    Attributes:
        kind: `pretraining` or `segmentation`.
        description: what a reader needs to use it, in plain JSON types: method, cohort, modalities, filters, ...
        weights: name (a modality, or a part such as `discriminator_x`) -> state dict.
        version: of the code that trained it.
    """

    kind: str
    description: dict[str, Any]
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    version: str = field(default_factory=code_version)


def save_checkpoint(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write atomically; tensors go to the CPU first, so that the file loads on any machine."""
    weights = {
        name: {key: value.detach().cpu().contiguous() for key, value in state.items()}
        for name, state in checkpoint.weights.items()
    }
    content = {
        "format": FORMAT,
        "version": checkpoint.version,
        "kind": checkpoint.kind,
        "description": checkpoint.description,
        "weights": weights,
    }
    _save(content, path)


def load_checkpoint(path: str | Path, kind: str | None = None) -> Checkpoint:
    """Read a checkpoint, without unpickling code, onto the CPU.

    Raises:
        McdError: missing, unreadable, another format, or not of `kind`.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise McdError(f"{path}: no such checkpoint") from None
    except Exception as error:  # torch raises whatever its zip and pickle readers raise
        raise McdError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise McdError(f"{path}: not a {FORMAT} checkpoint")
    if kind is not None and content["kind"] != kind:
        raise McdError(f"{path}: is a {content['kind']} checkpoint, and a {kind} one is needed")
    return Checkpoint(content["kind"], content["description"], content["weights"], content["version"])


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """Of the names and the values of some tensors, on whatever device they are."""
    return digest(
        part
        for name, value in sorted(state.items())
        for part in (name.encode(), value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    )


def save_resume(state: dict[str, Any], path: Path) -> None:
    """Write the state of a running training, atomically; its `identity` is what `load_resume` compares."""
    _save({**state, "identity": json.dumps(state["identity"], sort_keys=True)}, path)


def load_resume(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state to resume from; None where there is none, it is damaged, or it belongs to a training of another identity.

    The log says why one that is there is not taken up.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged resume file costs time, never a result
        return None
    try:
        kept = json.loads(state["identity"])
    except (TypeError, KeyError, ValueError):
        kept = {}
    differing = list(_differences(kept, json.loads(json.dumps(identity))))
    if not differing:
        return state
    more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
    named = ", ".join(differing[:_NAMED])
    log.warning("%s: not taken up, the training starts anew: it was of another %s%s", path, named, more)
    return None


def _differences(one: Any, other: Any, name: str = "") -> Iterator[str]:
    """The dotted names of what differs between two values of JSON, of a mapping's own values before those within."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys(), key=lambda key: (isinstance(one.get(key), dict), key))
        for key in keys:
            yield from _differences(one.get(key), other.get(key), f"{name}.{key}" if name else key)
    elif one != other:
        yield name


def _save(content: dict[str, Any], path: str | Path) -> None:
    """Write atomically. torch is given an open file, since it takes no path whose name has no suffix."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        torch.save(content, file)

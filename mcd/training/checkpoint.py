"""Checkpoints that say what they are (format in docs/reference/formats.md), and the resume file of a running training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import mcd
from mcd.errors import McdError
from mcd.files import atomic_path

FORMAT = "mcd-checkpoint/1"


@dataclass
class Checkpoint:
    """A trained network's weights with their description.

    Attributes:
        kind: `pretraining` or `segmentation`.
        description: what a reader needs to use it, in plain JSON types: method, cohort, modalities, filters, ...
        weights: name (a modality, or a part such as `discriminator_x`) -> state dict.
        version: of the `mcd` that trained it.
    """

    kind: str
    description: dict[str, Any]
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    version: str = mcd.__version__


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


def save_resume(state: dict[str, Any], path: Path) -> None:
    """Write the state of a running training, atomically."""
    _save(state, path)


def load_resume(path: Path, identity: str) -> dict[str, Any] | None:
    """The state to resume from; None where there is none, it is damaged, or it belongs to a training of another identity."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged resume file costs time, never a result
        return None
    return state if isinstance(state, dict) and state.get("identity") == identity else None


def _save(content: dict[str, Any], path: str | Path) -> None:
    """Write atomically. torch is given an open file, since it takes no path whose name has no suffix."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        torch.save(content, file)

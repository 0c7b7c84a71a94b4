"""Checkpoints that say what they are (format in docs/reference/formats.md), and the resume file of a running training.

torch verifies nothing of what it loads. Each file ends with a digest of all that precedes it, as the comment of the zip that
torch writes; those without one, from before, are held to the zip's own checksums.
"""

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from mcd.digests import digest
from mcd.errors import McdError, first_line, some
from mcd.files import atomic_path, reading_problem
from mcd.paths import check_no_pipe
from mcd.version import code_version

log = logging.getLogger(__name__)

FORMAT = "mcd-checkpoint/1"


_SEAL = b"mcd-sha256:"
_SEAL_BYTES = len(_SEAL) + 64


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
    check_no_pipe(path)
    try:
        content = _load(path)
    except Exception as error:  # torch raises whatever its zip and pickle readers raise
        raise reading_problem(path, error, "checkpoint") or McdError(
            f"{path}: not a readable checkpoint ({first_line(error)}); copy it again, or delete it to regenerate it"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise McdError(f"{path}: not a {FORMAT} checkpoint")
    if kind is not None and content["kind"] != kind:
        raise McdError(f"{path}: is a {content['kind']} checkpoint, and a {kind} one is needed; give that")
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
        state = _load(path)
    except Exception as error:  # a damaged resume file costs time, never a result
        log.warning("%s: not taken up, the training starts anew: not readable (%s)", path, first_line(error))
        return None
    try:
        kept = json.loads(state["identity"])
    except (TypeError, KeyError, ValueError):
        kept = {}
    differing = list(_differences(kept, json.loads(json.dumps(identity))))
    if not differing:
        return state
    log.warning("%s: not taken up, the training starts anew: it was of another %s", path, some(differing))
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
    """Write atomically, sealed. torch is given an open file, since it takes no path whose name has no suffix."""
    with atomic_path(path) as temporary, open(temporary, "w+b") as file:
        torch.save(content, file)
        file.seek(-2, os.SEEK_END)
        file.write(_SEAL_BYTES.to_bytes(2, "little"))  # a zip's last field: how long its comment is
        seal = _SEAL + _digest(file, file.tell())
        file.seek(0, os.SEEK_END)
        file.write(seal)


def _load(path: str | Path) -> Any:
    """What `_save` wrote, onto the CPU; an error of torch, of zipfile or a ValueError where it is damaged."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _SEAL_BYTES))
        seal = file.read()
        if seal.startswith(_SEAL):
            if seal != _SEAL + _digest(file, size - _SEAL_BYTES):
                raise ValueError("it differs from its digest")
        elif not seal[-22:].startswith(b"PK\5\6") or seal[-2:] != bytes(2):  # a zip's end, with no comment
            raise ValueError("its end is missing")
        elif damaged := zipfile.ZipFile(file).testzip():
            raise ValueError(f"a failed checksum in {damaged}")
        file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True)


def _digest(file: IO[bytes], size: int) -> bytes:
    """Of a file's first `size` bytes, read block by block."""
    file.seek(0)
    found = hashlib.sha256()
    while size and (block := file.read(min(size, 1 << 22))):
        found.update(block)
        size -= len(block)
    return found.hexdigest().encode()

"""Paths that a user writes, in a configuration or in a sheet: what `~`, `$VARIABLES` and relative ones mean."""

import os
import re
from pathlib import Path

from mcd.errors import McdError

_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")


def expand(path: str, where: str = "configuration", base: Path = Path()) -> Path:
    """Return a path, counted from `base`, with `~` and `$VARIABLES` replaced; one that is there as it is written is taken so.

    Raises:
        McdError: prefixed with `where`, for a variable that is not set.
    """
    plain = base / path
    if plain.exists():
        return plain
    expanded = os.path.expanduser(os.path.expandvars(path))
    if missing := _VARIABLE.search(expanded):
        raise McdError(f"{where}: {path}: the environment variable {missing[0]} is not set; export it first")
    return base / expanded


def of_configuration(path: str) -> Path:
    """Return a path of the configuration: a relative one counts from the working folder, else from beside the workflow."""
    expanded = expand(path)
    return expanded if expanded.exists() else Path(__file__).parents[1] / expanded

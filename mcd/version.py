"""Which code made a result: finer than `mcd.__version__`, which stays the same while a checkout changes."""

import sys
from functools import cache
from pathlib import Path

import mcd
from mcd.digests import digest, sources_digest

_SHOWN = 8  # digits of a digest: enough to tell the versions that one folder ever meets apart


@cache
def code_version() -> str:
    """`mcd`'s version with a digest of the package as it lies on disk, such as `0.1.0+3f2a90c1`.

    The same sources have the same version, wherever they lie; read once a process.
    """
    return f"{mcd.__version__}+{sources_digest(Path(mcd.__file__).parent)[:_SHOWN]}"


UNKNOWN = "unknown"
"""The version of what was made before results knew theirs."""


def lineage(*versions: str) -> str:
    """The versions that a result went through, each once, in words: those of what it was made from, then its own."""
    return " ".join(dict.fromkeys(" ".join(versions).split()))


def foreign_sources(classes: tuple[type, ...]) -> dict[str, str]:
    """Package or module -> digest of its sources, for those of some classes that come from outside `mcd`."""
    roots = {cls.__module__.partition(".")[0] for cls in classes} - {"mcd", "torch", "builtins", "abc", "typing"}
    found = {}
    for name in sorted(roots):
        module = sys.modules[name]
        places = list(getattr(module, "__path__", [])) or [getattr(module, "__file__", None)]
        found[name] = digest(sources_digest(place).encode() for place in places if place)
    return found

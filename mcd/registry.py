"""Algorithms by name. A registry says where a class is, so that reading it loads nothing; here it is found and set up."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from mcd.errors import McdError


def find_class(registry: Mapping[str, str], algorithm: str) -> Any:
    """The class that stands in a registry as `module:name`; `McdError` for an algorithm that does not."""
    if algorithm not in registry:
        raise McdError(f"algorithm {algorithm!r} is unknown; there are {', '.join(registry)}")
    module, name = registry[algorithm].split(":")
    return getattr(import_module(module), name)


def make_options(method_class: Any, algorithm: str, options: Mapping[str, Any]) -> Any:
    """A method's options; `McdError` for an unknown or an impossible one."""
    try:
        return method_class.options_class(**options)
    except TypeError as error:
        raise McdError(f"options of {algorithm}: {error}") from None

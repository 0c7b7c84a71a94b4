"""What a method's authors publish for a setting, beside ours: what `docs/reference/settings.md` is made of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """A published value.

    Attributes:
        value: as the configuration would have it, or in words where it cannot; None where nothing is published.
        source: paper or code.
        why: why ours is another, or what ours rests on where nothing is published; empty where ours is the published one.
    """

    value: Any
    source: str
    why: str = ""


def ours(why: str) -> Published:
    """A setting of our own, for which nothing is published."""
    return Published(None, "", why)

"""Seeds that depend on what is computed, not on when or where, and how seeds, folds, draws and label ratios are called.

In a module at the bottom: a training names them, and imports nothing of the plan.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any printable parts, such as the run's seed and its wildcards; the same on every machine."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def fold_text(fold: int) -> str:
    """A fold as paths show it, behind the seed: nothing where the cohort has one split."""
    return f"-fold{fold}" if fold else ""


def fold_number(text: str) -> int:
    """The fold that `fold_text` shows."""
    return int(text.removeprefix("-fold") or 0)


def draw_text(draw: int) -> str:
    """A draw as paths show it, behind the seed and its fold: nothing for the first, so that more of them move nothing."""
    return f"-draw{draw}" if draw else ""


def draw_number(text: str) -> int:
    """The draw that `draw_text` shows."""
    return int(text.removeprefix("-draw") or 0)


def percent(ratio: float) -> str:
    """A label ratio as paths, tables and pages show it, in per cent: 0.05 -> "5". Exact: another ratio has another text."""
    return format((Decimal(repr(ratio)) * 100).normalize(), "f")


def pretraining_columns(wildcards: Mapping[str, str]) -> dict[str, Any]:
    """What a path says of a pre-training, as columns of what is made from it; a fold only where there are several."""
    names = {**wildcards, "seed": int(wildcards["seed"]), "fold": fold_number(wildcards["fold"])}
    return {name: value for name, value in names.items() if name != "fold" or value}


def seed_words(description: Mapping[str, Any]) -> str:
    """The seed of a network that has this description and, where its cohort has folds, which of them it was kept from."""
    fold = description.get("fold")
    return f"seed {description['seed']}" + (f", fold {fold}" if fold else "")

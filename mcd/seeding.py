"""Seeds that depend on what is computed, not on when or where."""

import hashlib
from collections.abc import Mapping
from typing import Any


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any printable parts, such as the run's seed and its wildcards; the same on every machine."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def seed_words(description: Mapping[str, Any]) -> str:
    """The seed of a network that has this description and, where its cohort has folds, which of them it was kept from."""
    fold = description.get("fold")
    return f"seed {description['seed']}" + (f", fold {fold}" if fold else "")

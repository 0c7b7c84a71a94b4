"""Seeds that depend on what is computed, not on when or where."""

import hashlib


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any printable parts, such as the run's seed and its wildcards; the same on every machine."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1

"""Durations in words."""


def duration(seconds: float) -> str:
    """Two units at most: 4.1 s, 3 min 20 s, 5 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"

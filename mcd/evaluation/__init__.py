"""Metrics and statistics: overlap, surface distances, image quality, intervals and tests (no torch)."""

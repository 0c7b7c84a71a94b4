"""A disk that is nearly full, for tests."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int, options: str = "rw") -> Iterator[None]:
    """A file system of its own in `folder`; skips where this user may not mount any."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk, and not in every container")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)

"""What the C library does with memory that torch frees."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of settings in glibc's malloc.h."""

MIB = 2**20


def keep_freed_memory() -> None:
    """Let this process keep up to 256 MiB that it freed, for its next step on the CPU.

    Otherwise glibc hands a step's tensors back to the system and takes them again at the next, page by page: a tenth of a
    small training's time (benchmarks/freed_memory.py). Another C library is left as it is. Results do not depend on it. The
    variables MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ would do the same, but have to be set before the process
    starts; drop this where a profile sets them.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # macOS and musl have none; Windows no library without a name
        return
    mallopt(TRIM_THRESHOLD, 256 * MIB)
    mallopt(MMAP_THRESHOLD, 32 * MIB)  # the most that glibc allows; larger tensors are few

"""Memory that a step frees is there for the next one."""

import platform
import subprocess
import sys

import pytest

PAGES = 32 * 2**20 // 4096

STEPS = """
import resource, torch
from mcd.training.device import prepare
from mcd.training.schedule import Compute
prepare(Compute(device="cpu"))
def faults() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        kept = [torch.ones(2**20) for _ in range(8)]  # 32 MiB, given up at the end of a step
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that returns memory so eagerly")
def test_freed_memory_is_not_fetched_again_page_by_page() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < PAGES  # of 20 times as many

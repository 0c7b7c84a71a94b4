"""What every test may ask for."""

import os
from pathlib import Path

import pytest

from mcd.testing.cohort import TinyCohort, make_tiny_cohort

REAL = Path(os.environ.get("MCD_REAL_PATIENTS", Path(__file__).parents[2] / "shared" / "data"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cpu", help="where the tests train that can train elsewhere: cpu, cuda, cuda:1"
    )
    parser.addoption("--faults", type=int, default=4, help="how many kills; files, disks and signals in proportion")


@pytest.fixture(scope="session")
def faults(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--faults"))


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> str:
    return str(pytestconfig.getoption("--device"))


@pytest.fixture(scope="session")
def real_patients() -> Path:
    """The folder of real patients; skips where it is not found."""
    if not REAL.is_dir():
        pytest.skip(f"no real patients at {REAL} (set MCD_REAL_PATIENTS)")
    return REAL


@pytest.fixture(scope="session")
def tiny_cohort(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    return make_tiny_cohort(tmp_path_factory.mktemp("tiny"))

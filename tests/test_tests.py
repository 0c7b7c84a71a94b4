"""The tests among themselves: none imports another, and those for a GPU machine start on one."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def improper_imports(code: str) -> Iterator[str]:
    """Modules that hold tests or fixtures and are imported all the same, and ways around an import statement."""
    for node in ast.walk(ast.parse(code)):
        modules = []
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "", *(name.name for name in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
            modules = [ast.unparse(node.func)]
        for module in modules:
            last = module.split(".")[-1]
            if last.startswith("test_") or last in ("conftest", "__import__", "import_module"):
                yield module


@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda file: str(file.relative_to(TESTS)))
def test_no_test_is_imported(file: Path) -> None:
    """What tests share is a fixture, or is in a module without tests."""
    assert list(improper_imports(file.read_text())) == []


def test_an_imported_test_is_noticed() -> None:
    code = "import a.test_b, os\nfrom test_c import d\nfrom conftest import e\n__import__('f')\nfrom tiny import make"
    assert list(improper_imports(code)) == ["a.test_b", "test_c", "conftest", "__import__"]


def test_trainings_are_tested_without_image_libraries_and_snakemake() -> None:
    """As on a machine for trainings alone (benchmarks/GPU_TODO.md)."""
    cases = [
        "pretraining/test_registry.py::test_goes_on_after_a_kill_to_the_same_weights[rotation]",
        "segmentation/test_semi_supervised.py::test_it_trains_saves_a_plain_unet_and_is_scored[mean_teacher]",
    ]
    code = (
        "import sys, pytest\n"
        "sys.modules.update(dict.fromkeys(['SimpleITK', 'nibabel', 'nilearn', 'snakemake']))\n"
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    line = [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", "--device", "cpu"]
    run = subprocess.run([*line, *(str(TESTS / case) for case in cases)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "2 passed" in run.stdout


PROJECT = [path for folder in ("mcd", "tests", "benchmarks") for path in sorted((TESTS.parent / folder).rglob("*.py"))]


@pytest.mark.parametrize("file", PROJECT, ids=lambda file: str(file.relative_to(TESTS.parent)))
def test_nothing_imports_a_private_name(file: Path) -> None:
    names = [
        f"{node.module}.{name.name}"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mcd")
        for name in node.names
    ]
    assert [name for name in names if name.split(".")[-1].startswith("_")] == []

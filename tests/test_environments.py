"""`envs/`, `pyproject.toml` and `constraints.txt` agree, and an environment holds what its rules import and nothing else."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from workflow_rules import environment_of, rules, script_of

from mcd.cohorts import simulated_layouts
from mcd.cohorts.simulated import simulator_of

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))

LOOKED_UP = {  # modules that a file finds by name
    ROOT / "mcd/cohorts/simulated.py": [simulator_of(layout).draw.partition(":")[0] for layout in simulated_layouts()]
}
CONDA_NAMES = {
    "pytorch": "torch",
    "matplotlib-base": "matplotlib",
    "python-isal": "isal",
}  # conda -> PyPI, where they differ
IMPORT_NAMES = {
    "PIL": "pillow",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}  # import -> PyPI, where they differ


def packages(environment: Path) -> dict[str, SpecifierSet]:
    """PyPI's name -> versions, of an environment's packages, those that pip puts into it too, and of Python."""
    found = {}
    entries = yaml.safe_load(environment.read_text())["dependencies"]
    from_pip = [line for entry in entries if isinstance(entry, dict) for line in entry["pip"]]
    for line in [entry for entry in entries if isinstance(entry, str) and entry != "pip"] + from_pip:
        name, _, versions = line.partition(" ")
        found[CONDA_NAMES.get(name, name)] = SpecifierSet(versions)
    return found


def scripts_in(environment: Path) -> set[str]:
    """The scripts of the rules that name an environment."""
    scripts = {script_of(rule) for rule in rules() if environment_of(rule) == environment}
    assert None not in scripts
    return {script.stem for script in scripts if script}


def own_file(name: str) -> Path | None:
    """The file of a module of this project: of `mcd`, or a neighbour of a script."""
    path = ROOT.joinpath(*name.split("."))
    candidates = [path.with_suffix(".py"), path / "__init__.py", ROOT / "workflow_scripts" / f"{name}.py"]
    return next((file for file in candidates if file.is_file()), None)


def imported(node: ast.AST) -> Iterator[str]:
    """Every module that a tree of code may import, wherever it stands; what only type checkers see is left out."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{name.name}" for name in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.resources.files":
        yield ast.literal_eval(node.args[0])  # files that come with a package
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


@cache
def imports(file: Path) -> list[str]:
    return list(imported(ast.parse(file.read_text())))


def needed(script: str) -> set[str]:
    """PyPI's names of what a script imports, itself or through this project's modules."""
    waiting, seen = [ROOT / f"workflow_scripts/{script}.py"], set()
    found: set[str] = set()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in [*imports(file), *LOOKED_UP.get(file, ())]:
            parts = name.split(".")
            own = [own_file(".".join(parts[: count + 1])) for count in range(len(parts))]
            waiting += [path for path in own if path]
            if not any(own) and parts[0] not in sys.stdlib_module_names:
                found.add(canonicalize_name(IMPORT_NAMES.get(parts[0], parts[0])))
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.stem)
def test_an_environment_holds_what_its_rules_import_and_nothing_else(environment: Path) -> None:
    there = packages(environment).keys() - {"python"}
    by_rule = {script: needed(script) for script in sorted(scripts_in(environment))}
    assert by_rule, "no rule uses it"
    assert {script: sorted(names - there) for script, names in by_rule.items() if names - there} == {}
    assert sorted(there - set().union(*by_rule.values())) == []


def test_the_search_for_imports_sees_what_is_hidden() -> None:
    """Imports inside functions and behind other modules; data files; but not what only type checkers read."""
    assert "simpleitk" in needed("preprocess_subject")  # through mcd.imaging.io
    assert "nilearn" in needed("simulate_patient")  # by way of a layout's simulator, and importlib.resources
    assert "torch" in needed("finetune")
    assert "torch" not in needed("draw_segmentations")  # mcd.segmentation names its classes for type checkers
    assert list(imported(ast.parse("def f():\n    import a.b\n    from c import d"))) == ["a.b", "c.d"]


def lower(versions: SpecifierSet) -> str:
    return next(part.version for part in versions if part.operator in (">=", "=="))


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.stem)
def test_an_environment_agrees_with_the_package(environment: Path) -> None:
    """Same lower bounds as pyproject.toml, an upper bound for each, and the tested versions within."""
    declared: dict[str, SpecifierSet] = {
        canonicalize_name(r.name): r.specifier for r in map(Requirement, PROJECT["dependencies"])
    }
    declared["python"] = SpecifierSet(PROJECT["requires-python"])
    for name, versions in packages(environment).items():
        assert lower(versions) == lower(declared[canonicalize_name(name)]), name
        assert any(part.operator in ("<", "==") for part in versions), f"{name}: no upper bound"
        if name != "python":
            assert versions.contains(constraints()[canonicalize_name(name)]), name
    assert packages(environment)["python"].contains(f"{sys.version_info.major}.{sys.version_info.minor}")


@cache
def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_the_tested_versions_are_within_the_packages_bounds() -> None:
    everything = PROJECT["dependencies"] + [r for extra in PROJECT["optional-dependencies"].values() for r in extra]
    checked = []
    for requirement in map(Requirement, everything):
        if requirement.name == PROJECT["name"]:  # an extra that takes in another one
            assert requirement.extras <= PROJECT["optional-dependencies"].keys()
            continue
        assert requirement.specifier.contains(constraints()[canonicalize_name(requirement.name)]), requirement
        checked.append(requirement.name)
    assert {"torch", "onnxruntime", "pytest"} <= set(checked)

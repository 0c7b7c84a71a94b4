"""A `conda` for tests, where there is none: it answers the calls that Snakemake makes, and its environments keep packages out.

An environment is an interpreter that shares the packages of the one that runs the tests, but finds only those that the
environment file names, what these require, and what Snakemake requires: Snakemake puts its own packages behind an
environment's for every script. Each use of an environment is a line of its file `uses`. That a real channel has the packages,
and has them together, this cannot show.
"""

import json
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from itertools import pairwise
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPI_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "python-isal": "isal"}
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'
GUARD = """
import atexit, sys
from importlib.machinery import PathFinder
class Guard(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {forbidden} else super().find_spec(name, path, target)
sys.meta_path[:] = [Guard if finder is PathFinder else finder for finder in sys.meta_path]
def note():
    with open({uses!r}, "a") as file:
        file.write(sys.argv[0] + "\\n")
atexit.register(note)
"""


def install(folder: Path) -> None:
    """Put a `conda` into `folder`/bin, which is to stand first in PATH."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin/conda"
    program.write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
    program.chmod(0o755)
    (folder / "bin/activate").write_text(ACTIVATE)


def closure(names: set[str]) -> set[str]:
    """Distributions with everything that they require."""
    waiting = [canonicalize_name(name) for name in names]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = map(Requirement, requires(name) or [])
        except PackageNotFoundError:  # of another platform
            continue
        waiting += [canonicalize_name(r.name) for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


def create(file: Path, prefix: Path) -> None:
    entries = yaml.safe_load(file.read_text())["dependencies"]
    lines = [line for entry in entries for line in (entry["pip"] if isinstance(entry, dict) else [entry])]
    names = {line.split(" ")[0] for line in lines} - {"python", "pip"}
    allowed = closure({PYPI_NAMES.get(name, name) for name in names} | {"snakemake"})
    allowed.add("mcd")  # the one beside the workflow, installed or not
    forbidden = {
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & allowed
    }
    packages = prefix / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin/python").symlink_to(sys.executable)
    (prefix / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "sitecustomize.py").write_text(GUARD.format(forbidden=sorted(forbidden), uses=str(prefix / "uses")))
    (prefix / "environment.yaml").write_text(file.read_text())


def main(arguments: list[str]) -> None:
    match arguments:
        case ["--version"]:
            print("conda 25.1.0")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(Path(sys.argv[0]).parents[1]), "platform": "linux-64"}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", *options]:
            given = dict(pairwise(options))
            create(Path(given["--file"]), Path(given["--prefix"]))
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"the stand-in for conda does not know: conda {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The container's recipe, as far as it can be tested without an engine: what it copies, and how it installs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECIPE = (ROOT / "container/Dockerfile").read_text()


@pytest.mark.workflow
def test_what_is_copied_is_all_that_the_workflow_needs(tmp_path: Path) -> None:
    """Everything, planned from the copied files alone."""
    place = tmp_path / "opt/mcd"
    place.mkdir(parents=True)
    for line in re.findall(r"^COPY (.*)$", RECIPE, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place / target)
            else:
                shutil.copy(ROOT / source, place / target)
    start = re.search(r'^ENTRYPOINT \["snakemake", (.*)\]$', RECIPE, re.MULTILINE)
    assert start
    arguments = [word.strip('"').replace("/opt/mcd", str(place)) for word in start[1].split(", ")]
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, "all", "-n", "--quiet", "rules", "--cores", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert "report_page" in run.stdout


def test_it_is_installed_as_make_installs_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    pip = re.search(r"^INSTALL := \$\(BIN\)/python (-m pip install .*)$", makefile, re.MULTILINE)
    what = re.search(r"^\t\$\(INSTALL\) (.*-e \.)$", makefile, re.MULTILINE)
    assert pip
    assert what
    assert f"RUN python {pip[1]} {what[1]}\n" in RECIPE

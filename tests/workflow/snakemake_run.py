"""Calling Snakemake as a user would."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(
    *arguments: str, folder: Path, config: str | None = "configs/smoke.yaml", project: Path = ROOT
) -> list[str]:
    """The command line of a run in `folder`; `config` None for the embedded default, `project` for a copy of the workflow."""
    # several of Snakemake's options take as many words as follow, so `arguments` stand where an option comes after them
    line = [sys.executable, "-m", "snakemake", *arguments]
    line += ["--configfile", str(project / config)] if config else []
    line += ["--profile", str(project / "profiles/default")]
    line += ["--max-jobs-per-timespan", "100/1s"]  # a run ends after as long as this, and tests have many short ones
    return [*line, "-s", str(project / "Snakefile"), "--directory", str(folder)]


def snakemake(
    *arguments: str,
    folder: Path,
    config: str | None = "configs/smoke.yaml",
    env: dict[str, str] | None = None,
    project: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake to its end; its output, both streams together, is in `stdout`."""
    return subprocess.run(
        command(*arguments, folder=folder, config=config, project=project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
        check=False,
    )

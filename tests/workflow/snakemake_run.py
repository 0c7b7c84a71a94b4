"""Calling Snakemake as a user would."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(*arguments: str, folder: Path, config: str | None = "configs/smoke.yaml") -> list[str]:
    """The command line of a run in `folder`; `config` None for the embedded default."""
    # several of Snakemake's options take as many words as follow, so `arguments` stand where an option comes after them
    line = [sys.executable, "-m", "snakemake", *arguments]
    line += ["--configfile", str(ROOT / config)] if config else []
    line += ["--profile", str(ROOT / "profiles/default")]
    return [*line, "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]


def snakemake(
    *arguments: str, folder: Path, config: str | None = "configs/smoke.yaml", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake to its end; its output, both streams together, is in `stdout`."""
    return subprocess.run(
        command(*arguments, folder=folder, config=config),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
        check=False,
    )

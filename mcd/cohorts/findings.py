"""What a check of raw files finds: one row per finding, to print and to write."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from mcd.errors import McdError
from mcd.files import atomic_path


@dataclass(frozen=True)
class Finding:
    """One row. `severity` is "error" (a run would stop, or be worth nothing) or "warning"; `patient` "" is the cohort."""

    severity: str
    patient: str
    file: str
    problem: str
    remedy: str

    @classmethod
    def of(cls, error: McdError, patient: str, file: str = "") -> "Finding":
        """Take an error's line, "file or key: what is wrong; remedy", apart; `file` takes precedence over what it names."""
        where, _, rest = str(error).partition(": ")
        problem, separator, remedy = rest.rpartition("; ")
        return cls(
            "error", patient, file or where, problem if separator else rest or where, remedy if separator else ""
        )


def write_findings(findings: Sequence[Finding], path: str | Path) -> None:
    """Write a CSV with one row per finding."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in fields(Finding)])
        writer.writerows(astuple(finding) for finding in findings)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print errors, then warnings, as tables."""
    for severity in ("error", "warning"):
        rows = [astuple(finding)[1:] for finding in findings if finding.severity == severity]
        if rows:
            print_table([f"{severity}s: patient", *(column.name for column in fields(Finding)[2:])], rows)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with aligned columns, and an empty line after it."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()

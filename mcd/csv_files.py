"""CSV files in which damage is noticed: the last column, `digest`, is the same in every row, and of all other cells.

So a changed digit, a lost row and a cut file are noticed, and every reader of CSVs can still read them. No pandas.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcd.errors import McdError
from mcd.files import DIGEST, reading_problem, write_text
from mcd.paths import check_no_pipe

if TYPE_CHECKING:
    import pandas as pd


def write_csv(rows: Iterable[Sequence[Any]], path: str | Path) -> None:
    """Write rows, the header first, atomically and with their digest."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    seals = [DIGEST, *[_digest(cells)] * (len(cells) - 1)]
    write_text(path, _text([*row, seal] for row, seal in zip(cells, seals, strict=True)))


def write_frame(table: "pd.DataFrame", path: str | Path, float_format: str) -> None:
    """Write a table without its index, like `write_csv`."""
    write_csv(csv.reader(io.StringIO(table.to_csv(index=False, float_format=float_format))), path)


def read_csv(path: str | Path) -> io.StringIO:
    """The text of a CSV, without its digest, for pandas to read. A file without one, made elsewhere, is taken as it is.

    Raises:
        McdError: naming the file, when it is missing, unreadable, cut, or differs from its digest.
    """
    check_no_pipe(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
        cells = list(csv.reader(io.StringIO(text), strict=True))
    except OSError as error:
        raise reading_problem(path, error) or error from None
    except (ValueError, csv.Error) as error:
        raise McdError(f"{path}: not a CSV file ({error}); delete it to regenerate it") from None
    if not cells or not text.endswith("\n") or any(len(row) != len(cells[0]) for row in cells):
        raise McdError(f"{path}: its end or a part of a row is missing; delete it to regenerate it")
    last = [row[-1] if row else "" for row in cells]
    seal = _digest([row[:-1] for row in cells])
    if last[0] == DIGEST or seal in last:  # the column's name may be what is damaged
        if len(cells) < 2 or last != [DIGEST, *[seal] * (len(cells) - 1)]:  # a header alone has lost its rows
            raise McdError(f"{path}: damaged (it differs from its digest); delete it to regenerate it")
        cells = [row[:-1] for row in cells]
    return io.StringIO(_text(cells))


def _text(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _digest(cells: Sequence[Sequence[str]]) -> str:
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]

"""From a result back to the raw files: which scores, predictions, networks, splits, patients, settings and code made it."""

import csv
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mcd.digests import file_digest
from mcd.errors import McdError
from mcd.records import LOGS, Record, read_records

_SHOWN = 2000  # characters of a parameter


def trace(result: str | Path, row: Sequence[str] = ()) -> Iterator[str]:
    """The lines of a tree: the file, the job that made it, and what that one was made from, down to the raw files.

    Args:
        result: a file, or a folder that a job made, of a run's folder.
        row: words that name a part of a table: a cohort, modality, pair, method, label ratio (0.05 or 5%), seed (seed0), draw
            (draw1) or fold (fold1), by key or as the table shows it; or one number, of a row of the CSV from 1. What other rows
            are made of is left out.

    Raises:
        McdError: where there is no record of it, or nothing in it is called so.
    """
    run, path = _place(Path(result))
    tracer = _Tracer(run)
    if path not in tracer.maker:
        raise McdError(
            f"{result}: no record in {run / LOGS} says which job made it; run it again (`snakemake --forcerun`), with all "
            "that you want to trace it to"
        )
    words = _words(run / path, row)
    yield str(run)
    yield from tracer.file(path, "", words, None)
    if words and not tracer.narrowed:
        raise McdError(f"{result}: is made from nothing called {', '.join(words)}; look at it without --row")


def of_simulated_patients(result: str | Path) -> bool | None:
    """Whether all images that a result was made from are ones that the workflow made, and it makes simulated ones alone.

    Returns:
        None where no record says from which images it was made.
    """
    try:
        run, path = _place(Path(result))
    except McdError:
        return None
    maker = _makers(run)
    waiting, seen = [path], {path}
    images: set[str] = set()
    while waiting:
        record = maker.get(waiting.pop())
        if record and record.rule == "preprocess_subject":
            images |= record.inputs.keys()
        elif record:
            waiting += record.inputs.keys() - seen
            seen |= record.inputs.keys()
    return images <= maker.keys() if images else None


def _makers(run: Path) -> dict[str, Record]:
    """Each file of a run that a job made -> the record of that job."""
    return {output: record for record in read_records(run) for output in record.outputs}


def _place(result: Path) -> tuple[Path, str]:
    """The run's folder, and the result's path in it."""
    whole = result.absolute()
    if not whole.exists():
        raise McdError(f"{result}: no such file")
    for run in whole.parents:
        if (run / LOGS).is_dir():
            return run, whole.relative_to(run).as_posix()
    raise McdError(f"{result}: in no folder of a run, which has {LOGS}/; give a result where it was made")


def _words(path: Path, row: Sequence[str]) -> list[str]:
    """A number of a row as the words that name it; everything else as it is."""
    if not (len(row) == 1 and row[0].isdigit()):
        return list(row)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    number = int(row[0])
    if not 1 <= number <= len(rows):
        raise McdError(f"{path}: has no row {number}; it has {len(rows)}")
    cells = rows[number - 1]
    words = [cells[name] for name in ("dataset", "modality", "method", "label_ratio") if cells.get(name)]
    if not words:
        raise McdError(f"{path}: its rows have no method; name what you look for by words")
    return words


class _Tracer:
    """Follows the records of one run; each job is told once."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.maker = _makers(run)
        self.told: set[str] = set()
        self.narrowed = False

    def file(self, path: str, indent: str, words: Sequence[str], user: Record | None) -> Iterator[str]:
        """A file that a job, `user`, was made from, and all that it comes from."""
        record = self.maker.get(path)
        yield f"{indent}{path}{self._raw(path, user) if record is None else self._state(path, record, user)}"
        if record is None:
            return
        indent += "  "
        if record.log in self.told:
            yield f"{indent}(made by {record.rule}, see above)"
            return
        self.told.add(record.log)
        ended = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.ended))
        yield f"{indent}made by {record.rule}, mcd {record.version}, {ended}; record: {Path(record.log).with_suffix('.json')}"
        for name, value in record.params.items():
            text = json.dumps(value)
            yield f"{indent}{name}: {text if len(text) <= _SHOWN else f'{text[:_SHOWN]}... (whole in the record)'}"
        for other in record.outputs:
            if other != path and Path(other).parent == Path(path).parent:
                yield f"{indent}with {other}{self._state(other, record, user)}"
        inputs = list(record.inputs)
        if words and (chosen := _matching(inputs, words, record)):
            self.narrowed, words = True, ()
            inputs = chosen
        for other in inputs:
            yield from self.file(other, indent + "  ", words, record)

    def _state(self, path: str, record: Record, user: Record | None) -> str:
        """The digest of a file that a job made, and whether it is still what was made, and what `user` read."""
        if not (self.run / path).exists():
            return "  MISSING"
        found = file_digest(self.run / path)
        words = "as it was written" if found == record.outputs[path] else "CHANGED SINCE IT WAS WRITTEN"
        if user is not None and record.ended > user.ended:
            words += f", MADE AGAIN SINCE {user.rule} READ IT"
        return f"  sha256 {found}, {words}"

    def _raw(self, path: str, user: Record | None) -> str:
        """The digest of a file that no job made, and whether it is still what `user` read."""
        place = self.run / path
        if not place.exists():
            return "  MISSING, made by no job"
        found = file_digest(place)
        read = user.inputs.get(path) if user is not None else None
        if read:
            words = "as it was read" if found == read else f"CHANGED SINCE IT WAS READ (sha256 {read})"
        elif user is not None and place.stat().st_mtime > user.ended:
            words = f"CHANGED SINCE {user.rule} READ IT"
        else:
            words = "made by no job"
        return f"  sha256 {found}, {words}"


def _matching(paths: Iterable[str], words: Sequence[str], record: Record) -> list[str]:
    """Those paths in which every word is a part: a run's path is what decides it."""
    spec = record.params.get("spec") or {}
    return [path for path in paths if all(any(_means(word, part, spec) for part in Path(path).parts) for word in words)]


def _training(part: str) -> list[str]:
    """The words for a seed, its fold and its draw, of a folder's name: seed0 is its first draw, seed0-draw1 its second."""
    words = part.split("-")
    return words if words[-1].startswith("draw") else [*words, "draw0"]


def _means(word: str, part: str, spec: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a word may stand for a part of a path: the same, what a table shows for it, or its label ratio."""
    shown = [(spec.get(names) or {}).get(part) for names in ("methods", "cohort_labels", "row_of_pair")]
    if word == part or word in shown or (part.startswith("seed") and word in _training(part)):
        return True
    try:
        per_cent = float(word.removesuffix("%")) * (1 if word.endswith("%") else 100)
        return math.isclose(per_cent, float(part.removeprefix("labels")), rel_tol=1e-4) and part.startswith("labels")
    except ValueError:
        return False

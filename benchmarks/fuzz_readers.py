"""Damages files at random and reads them: every reader returns or says one line, and within seconds.

    python benchmarks/fuzz_readers.py --minutes 10 --seed 1

A damaged file is one with bits flipped, bytes changed, a part cut off, zeroed or doubled, at a random place, or with another
number in its header; headers are hit as often as all the rest. Anything but a result or an `McdError` of one line (for a
configuration, a line per mistake) is printed, with the number that, after the seed, makes it again, and so is what takes longer
than `--patience` seconds or ends the process that reads. Exit status 1 where there was any.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import nibabel
import numpy as np
import SimpleITK as sitk
from dicom_files import write_enhanced, write_series, write_structures
from mistakes import Scene

from mcd.cohorts.index import read_index
from mcd.cohorts.samplesheet import read_rows
from mcd.config.loading import read_config
from mcd.errors import McdError
from mcd.evaluation.scores import read_scores
from mcd.files import read_json, write_json
from mcd.imaging.geometry import Grid
from mcd.imaging.io import read_label, read_volume
from mcd.prediction.masks import predicted_subjects, read_predictions
from mcd.prediction.run import predict_test
from mcd.prediction.score import score_predictions
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.training.checkpoint import load_checkpoint, load_resume, save_resume

Read = Callable[[Path], Any]
GRID = Grid((11, 10, 9), (1.0, 1.2, 3.0), (-10.0, 5.0, -40.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def corpus(folder: Path) -> list[tuple[str, Path, Read]]:
    """(kind, file, how what it belongs to is read) of one whole file of every kind."""
    values = np.random.default_rng(0).integers(0, 99, GRID.shape).astype(np.int16)
    volumes = folder / "volumes"
    volumes.mkdir()
    for name in ("a.nii", "a.nii.gz", "raw.nrrd", "a.nrrd", "raw.mha", "a.mha", "a.mhd", "a.nhdr", "a.hdr"):
        sitk.WriteImage(GRID.image(values), str(volumes / name), useCompression=not name.startswith("raw"))
    nibabel.save(nibabel.Nifti2Image(values.T, np.diag([-1, -1.2, 3, 1])), volumes / "two.nii.gz")
    owners = {"a.zraw": "a.mhd", "a.raw": "a.mhd", "a.raw.gz": "a.nhdr", "a.img": "a.hdr"}
    found: list[tuple[str, Path, Read]] = []

    def quiet(path: Path) -> Any:
        return read_volume(path, note=lambda _: None)

    for path in sorted(volumes.iterdir()):
        whole = volumes / owners.get(path.name, path.name)
        found.append((f"volume {path.name}", path, lambda _, whole=whole: quiet(whole)))  # type: ignore[misc]
    write_series(folder / "ct", values)
    found += [("DICOM slice", path, lambda path: quiet(path.parent)) for path in sorted((folder / "ct").iterdir())]
    write_enhanced(folder / "enhanced.dcm", values, list(range(9)))
    found.append(("enhanced DICOM", folder / "enhanced.dcm", quiet))
    write_structures(folder / "rt.dcm", {1: [np.asarray([(-8, 6, -40.0), (-5, 6, -40.0), (-5, 9, -40.0)])]})
    found.append(("RTSTRUCT", folder / "rt.dcm", lambda path: read_label(path, GRID, note=lambda _: None)))
    return found + _own_files(folder)


def _own_files(folder: Path) -> list[tuple[str, Path, Read]]:
    """Those that the workflow and its users write."""
    scene = Scene(folder)
    cohort = scene.cohort
    data: dict[str, Any] = {"shards": cohort.shards, "split": cohort.split}
    predict_test(**data, model=folder / "model.pt", predictions=folder / "predictions.h5")
    columns = {"cohort": "c", "pair": "A-B", "modality": "A", "method": "m", "label_ratio": 0.5, "seed": 0}
    score_predictions(**data, predictions=folder / "predictions.h5", scores=folder / "scores.csv", columns=columns)
    save_resume({"identity": {"of": "this"}, "weight": load_checkpoint(folder / "model.pt").weights}, folder / "state")
    write_json(folder / "info.json", {"a": [1, 2, {"b": None}], "c": "text"}, sealed=True)
    (folder / "index.tsv").write_text("subject\tA\tB\tlabel\tmask\tbox\tsplit\nx\ta\tb\tl\t\t1 2 3 4 5 6\ttrain\n")

    def shard(path: Path) -> None:
        with Shards([path]) as shards:
            for name in shards.subjects:
                for dataset in ("images", "labels", "content", "code_voxels"):
                    shards.read(name, dataset)

    def predictions(path: Path) -> None:
        for subject in predicted_subjects(path):
            read_predictions(path, subject)

    return [
        ("shard", cohort.shards[0], shard),
        ("checkpoint", folder / "model.pt", load_checkpoint),
        ("resume state", folder / "state", lambda path: load_resume(path, {"of": "this"})),
        ("predictions", folder / "predictions.h5", predictions),
        ("scores", folder / "scores.csv", lambda path: read_scores([path])),
        ("split", cohort.split, read_split),
        ("info.json", folder / "info.json", read_json),
        ("configuration", folder / "config", read_config),
        ("sheet", folder / "sheet.tsv", read_rows),
        ("index", folder / "index.tsv", read_index),
    ]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A copy with one thing wrong."""
    changed = bytearray(content)
    at = rng.randrange(len(changed) if rng.random() < 0.5 else min(len(changed), 500))
    length = rng.randrange(1, 64)
    numbers = list(re.finditer(rb"-?\d+", content[:2000]))
    how = rng.choice(["flip", "byte", "cut", "zero", "insert", "double", "delete", *(["number"] if numbers else [])])
    if how == "flip":
        changed[at] ^= 1 << rng.randrange(8)
    elif how == "byte":
        changed[at] = rng.randrange(256)
    elif how == "number":
        place = rng.choice(numbers)
        changed[place.start() : place.end()] = rng.choice(
            [b"0", b"-1", b"99", b"100000", b"99999999999999999999", b"nan"]
        )
    elif how == "cut":
        del changed[at:]
    elif how == "zero":
        changed[at : at + length] = bytes(length)
    elif how == "insert":
        changed[at:at] = rng.randbytes(length)
    elif how == "double":
        changed[at:at] = changed[at : at + length]
    else:
        del changed[at : at + length]
    return bytes(changed)


@dataclass(frozen=True)
class Case:
    """A damaged file: its number, of what kind it is, and what came of reading it."""

    number: int
    kind: str
    outcome: str


def outcome_of(read: Read, path: Path, kind: str, patience: float) -> str:
    """`read`, `refused`, or what else happened."""
    started = time.process_time()
    try:
        read(path)
        outcome = "read"
    except McdError as error:
        one_line = "\n" not in str(error) or kind == "configuration"
        outcome = "refused" if one_line else "several lines"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        outcome = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
    return "too slow" if time.process_time() - started > patience else outcome


def try_cases(
    files: Sequence[tuple[str, Path, Read]], seed: int, first: int, patience: float, said: Connection
) -> None:
    """Try one case after the other from number `first` on, and say each before and after; never returns."""
    whole = {path: path.read_bytes() for _, path, _ in files}
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())  # what libraries in C say, too
        warnings.simplefilter("error")
        for number in count(first):
            rng = random.Random(f"{seed} {number}")
            kind, path, read = rng.choice(files)
            path.write_bytes(damaged(whole[path], rng))
            said.send(Case(number, kind, ""))
            said.send(Case(number, kind, outcome_of(read, path, kind, patience)))
            path.write_bytes(whole[path])


def cases(files: Sequence[tuple[str, Path, Read]], seed: int, until: float, patience: float) -> Iterator[Case]:
    """Each case that was tried until a moment. A process of its own tries them, so that a reader which ends it is one, too."""
    number, whole = 0, {path: path.read_bytes() for _, path, _ in files}
    context = multiprocessing.get_context("fork")
    while time.monotonic() < until:
        told, said = context.Pipe(duplex=False)
        worker = context.Process(target=try_cases, args=(files, seed, number, patience, said))
        worker.start()
        said.close()
        case = Case(number, "", "read")
        try:
            while time.monotonic() < until:
                if not told.poll(10 * patience):
                    break
                case = told.recv()
                if case.outcome:
                    yield case
        except EOFError:
            worker.join()
        if not case.outcome and time.monotonic() < until:
            ended = f"ended the process: {worker.exitcode}" if worker.exitcode is not None else "hangs"
            yield Case(case.number, case.kind, ended)
        worker.kill()
        worker.join()
        number = case.number + 1
        for path, content in whole.items():
            path.write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--patience", type=float, default=20, help="processor seconds a reader may take")
    arguments = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    faults = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        files = corpus(Path(folder))
        until = time.monotonic() + 60 * arguments.minutes
        for case in cases(files, arguments.seed, until, arguments.patience):
            counts[case.kind, case.outcome] += 1
            if case.outcome not in ("read", "refused"):
                faults += 1
                print(f"number {case.number}, {case.kind}: {case.outcome}", flush=True)
    print(
        f"{counts.total()} damaged files, seed {arguments.seed}\n\n| file | read | refused | faults |\n|---|---|---|---|"
    )
    for kind in dict.fromkeys(kind for kind, _, _ in files):
        of_kind = {outcome: times for (name, outcome), times in counts.items() if name == kind}
        other = sum(of_kind.values()) - of_kind.get("read", 0) - of_kind.get("refused", 0)
        print(f"| {kind} | {of_kind.get('read', 0)} | {of_kind.get('refused', 0)} | {other} |")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

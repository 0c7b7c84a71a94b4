"""Whether a training ever waits for slices that are streamed, and what memory they take, with few patients and with many.

    python benchmarks/streaming.py FOLDER [--patients 1 16 400 4000] [--speed 2000]

simulates four patients of BraTS at 1 mm and 160 x 160 pixels, takes every fourth slice of two modalities, and writes them as
often as it takes, under other names: shards of 16 patients, whose slices repeat. (4,000 patients take 5 GB; FOLDER is kept,
so that a second run is quicker.) Then, for each number of patients, in a process of its own:

- reading: processor milliseconds per pair, of the reader and of plain `dataset[row, channel]` on the same slices, in turns.
- waits: how long a training of that speed waits for batches of 36 pairs, in percent of its time, if a core is free for
  the reader. Computed from the processor time of each batch's reading, since other load on a machine makes everything wait.
- memory: by how much the process grows beyond its imports, at most. Shards in the page cache are not counted.

`--per-shard 1 --patients 4000` makes 4,000 shards, more than are open at a time: most are opened anew for each slice.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import torch

from mcd.files import DIGEST
from mcd.hdf5 import content_digest, set_attributes
from mcd.slices.batches import AHEAD, SliceSet
from mcd.slices.shards import Shards

SIMULATED = 4
PAIR = ["T1CE", "T2"]
BATCH = 36


def name_of(patient: int) -> str:
    return f"R{patient:06d}"


def make(folder: Path, patients: int, per_shard: int) -> None:
    """Write the shards that are not there yet."""
    first = folder / "0.h5"
    if not first.exists():
        _simulate(folder, first, per_shard)
    for number in range(1, -(-patients // per_shard)):
        path = folder / f"{number}.h5"
        if not path.exists():
            partial = shutil.copy(first, folder / "partial")
            with h5py.File(partial, "r+", libver=("v110", "v110")) as file:
                set_attributes(file, subjects=[name_of(number * per_shard + each) for each in range(per_shard)])
                set_attributes(file, **{DIGEST: content_digest(file)})
            Path(partial).rename(path)


def _simulate(folder: Path, path: Path, per_shard: int) -> None:
    from mcd.cohorts.simulated import patient_files, simulated_subjects, write_patient
    from mcd.imaging.options import PreprocessOptions
    from mcd.imaging.preprocess import Preprocessed, preprocess_subject
    from mcd.slices.write_shards import write_subjects

    raw, found = folder / "raw", []
    for subject in simulated_subjects("brats2018", raw, PAIR, SIMULATED, seed=0):
        files = patient_files("brats2018", raw, subject.id)
        write_patient("brats2018", files, subject.id, seed=0, noise=1.0, spacing={})
        found.append(preprocess_subject(subject, PreprocessOptions(size=(160, 160))))

    def sparse(pre: Preprocessed) -> Preprocessed:
        volumes = {modality: volume[::4] for modality, volume in pre.volumes.items()}
        return replace(pre, volumes=volumes, label=pre.label[::4] if pre.label is not None else None)

    write_subjects(path, [(name_of(each), sparse(found[each % SIMULATED])) for each in range(per_shard)])
    shutil.rmtree(raw)


def memory(name: str) -> float:
    """This process's memory in MB: `VmRSS` now, `VmHWM` at most so far."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


def reading(slices: SliceSet, files: list[Path], batches: int) -> tuple[list[float], list[float]]:
    """Processor seconds of each batch, of `SliceSet.read` and of h5py alone, in turns."""
    rng = np.random.default_rng(0)
    opened = [h5py.File(path)["images"] for path in files[:200]]
    ours, plain = [], []
    for _ in range(batches):
        indices = rng.integers(len(slices), size=BATCH)
        started = time.process_time()
        slices.read(indices)
        between = time.process_time()
        for _ in range(BATCH):
            dataset = opened[int(rng.integers(len(opened)))]
            row = int(rng.integers(len(dataset)))
            for channel in range(len(PAIR)):
                dataset[row, channel]
        plain.append(time.process_time() - between)
        ours.append(between - started)
    return ours, plain


def waits(reads: list[float], step: float) -> float:
    """Percent of the time that a training with steps of so many seconds waits, after it has its first batch."""
    ready, at, waited = 0.0, 0.0, 0.0
    begun = deque([0.0] * (AHEAD + 1))  # when each batch that may be read ahead may be begun
    for number, seconds in enumerate(reads):
        ready = max(ready, begun.popleft()) + seconds
        if number:
            waited += max(ready - at, 0)
        at = max(at, ready)
        begun.append(at)
        at += step
    return 100 * waited / (step * len(reads))


def measure(folder: Path, patients: int, per_shard: int, speed: float, batches: int) -> dict[str, float]:
    torch.set_num_threads(1)
    before = memory("VmRSS")
    files = [folder / f"{number}.h5" for number in range(-(-patients // per_shard))]
    with Shards(files) as shards:
        slices = SliceSet(shards, [name_of(each) for each in range(patients)], PAIR, memory_limit=0)
        rng = np.random.default_rng(0)
        drawn = (rng.integers(len(slices), size=BATCH) for _ in range(batches))
        for _ in slices.batches(drawn):
            pass
        grown = memory("VmHWM") - before
        ours, plain = reading(slices, files, batches)
    milliseconds = {name: 1000 * statistics.median(one) / BATCH for name, one in (("ours", ours), ("plain", plain))}
    return {"pairs": len(slices), "waits": waits(ours, BATCH / speed), "memory": grown, **milliseconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, nargs="+", default=[1, 16, 400, 4000])
    parser.add_argument("--speed", type=float, default=2000, help="pairs a second")
    parser.add_argument("--per-shard", type=int, default=16, help="patients")
    parser.add_argument("--batches", type=int, default=200, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", type=int, metavar="PATIENTS", help="measure once, in this process, and print JSON")
    arguments = parser.parse_args()
    if arguments.one:
        how = (arguments.per_shard, arguments.speed, arguments.batches)
        print(json.dumps(measure(arguments.folder, arguments.one, *how)))
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    make(arguments.folder, max(arguments.patients), arguments.per_shard)
    found: dict[int, list[dict[str, float]]] = {patients: [] for patients in arguments.patients}
    for _ in range(arguments.rounds):
        for patients in arguments.patients:
            command = [sys.executable, __file__, str(arguments.folder), "--one", str(patients)]
            for option in ("per_shard", "speed", "batches"):
                command += [f"--{option.replace('_', '-')}", str(getattr(arguments, option))]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[patients].append(json.loads(printed))
    print(f"A training of {arguments.speed:g} pairs a second, medians of {arguments.rounds} rounds\n")
    print("| patients | shards | pairs | reading ms | h5py alone ms | ratio | waits % | memory MB |")
    print("|---|---|---|---|---|---|---|---|")
    for patients, rounds in found.items():
        one = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        print(
            f"| {patients} | {-(-patients // arguments.per_shard)} | {one['pairs']:.0f} | {one['ours']:.3f} "
            f"| {one['plain']:.3f} "
            f"| {one['ours'] / one['plain']:.2f} | {one['waits']:.2f} | {one['memory']:.0f} |"
        )


if __name__ == "__main__":
    main()

"""The measure of alignment of modalities as they are, moved, mirrored, and of different patients: where the thresholds of
`mcd/cohorts/fit.py` come from.

    python benchmarks/modalities_fit.py --config configs/real/brats_2013.yaml --size 48
    mcd simulate brats2018 /tmp/brats    # and a configuration with `layout: brats2018` and `folder: /tmp/brats`
"""

import argparse
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from mcd.cohorts.find import find_subjects
from mcd.cohorts.fit import gain
from mcd.config import read_config
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import Preprocessed, preprocess_subject


def with_second(pre: Preprocessed, name: str, volume: np.ndarray, region: np.ndarray) -> Preprocessed:
    return replace(pre, volumes={**pre.volumes, name: volume}, regions={**pre.regions, name: region})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--size", type=int, default=48, help="voxels of 4 mm in-plane")
    options = parser.parse_args()
    for name, cohort in read_config(options.config).cohorts.items():
        settings = cohort.preprocessing.model_dump() | {"size": (options.size,) * 2, "spacing": (4, 4, 4)}
        subjects = find_subjects(cohort.layout, cohort.raw_folder, cohort.sheet_path, cohort.modalities)
        patients = [preprocess_subject(subject, PreprocessOptions(**settings)) for subject in subjects]
        for pair in cohort.pairs:
            a, b = pair.modalities
            found: dict[str, list[float]] = {"as they lie": [gain(pre, a, b) for pre in patients]}
            changes: dict[str, tuple[Any, ...]] = {
                f"{4 * n} mm along {'zyx'[k]}": (np.roll, n, k) for n in (5, 10) for k in range(3)
            }
            changes |= {f"mirrored along {'zyx'[k]}": (np.flip, k) for k in (0, 2)}
            for change, (function, *where) in changes.items():
                moved = [
                    with_second(pre, b, function(pre.volumes[b], *where), function(pre.regions[b], *where))
                    for pre in patients
                ]
                found[change] = [gain(pre, a, b) for pre in moved]
            found["another patient's"] = [
                gain(with_second(pre, b, other.volumes[b], other.regions[b]), a, b)
                for pre, other in permutations(patients, 2)
                if pre.grid.size == other.grid.size
            ]
            for change, values in found.items():
                print(f"{name} {pair:12} {change:20}", *(f"{value:.2f}" for value in values))


if __name__ == "__main__":
    main()

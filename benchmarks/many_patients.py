"""What `mcd check-cohort` takes for 500 patients, and the page of a whole run for 200 test patients.

    python benchmarks/many_patients.py

prints processor seconds, peaks of memory and the page's size. The volumes are noise within a disc, of 96 x 96 x 40 voxels for
the check; the page's patients have 24 slices of 144 x 144 pixels in two modalities, with the masks of fifteen methods.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import write_scores
from mcd.imaging.geometry import Grid
from mcd.imaging.write_volume import write_volume
from mcd.methods import METHODS, TABLE_II
from mcd.prediction.masks import write_predictions
from mcd.reporting.page.build import write_page
from mcd.reporting.page.contents import PageCohort, PageContents, Prediction
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import tiny_volumes

GRID = Grid((96, 96, 40), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
REGIONS = {"WT": [1, 2], "TC": [1]}


def make_cohort(folder: Path, patients: int) -> None:
    """A sheet with CT, PET and a label of every patient, and its configuration."""
    z, y, x = np.indices(GRID.shape)
    body = (y - 48) ** 2 + (x - 48) ** 2 < 40**2
    lines = ["subject\tCT\tPET\tlabel"]
    for number in range(patients):
        rng = np.random.default_rng(number)
        ct = np.where(body, rng.normal(40, 60, GRID.shape), -1000).astype(np.int16)
        pet = np.where(body, np.abs(rng.normal(2, 1, GRID.shape)), 0).astype(np.float32)
        label = ((y - 48) ** 2 + (x - 40) ** 2 + (z - 20) ** 2 < 8**2).astype(np.uint8)
        names = [f"{number}_{kind}.nii.gz" for kind in ("ct", "pet", "label")]
        for values, name in zip((ct, pet, label), names, strict=True):
            write_volume(GRID.image(values), folder / name)
        lines.append("\t".join([f"p{number:04d}", *names]))
    (folder / "sheet.tsv").write_text("\n".join(lines) + "\n")
    cohort = {
        "layout": "samplesheet",
        "sheet": str(folder / "sheet.tsv"),
        "modalities": ["CT", "PET"],
        "pairs": ["CT-PET"],
        "regions": {"GTV": [1]},
        "test": 0.1,
        "preprocessing": {
            "size": [96, 96],
            "spacing": [2, 2, 3],
            "statistics_region": {"CT": "body", "PET": "nonzero"},
        },
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump({"cohorts": {"mine": cohort}}))


def make_page(folder: Path, patients: int) -> None:
    """Write a page of so many test patients, and print its size."""
    size = (144, 144)
    names = [f"p{number:04d}" for number in range(patients)]
    write_subjects(folder / "0.h5", ((name, tiny_volumes(number, size, 24)) for number, name in enumerate(names)))
    truth = {}
    for number, name in enumerate(names):
        label = tiny_volumes(number, size, 24).label
        assert label is not None
        truth[name] = np.stack([np.isin(label, codes) for codes in REGIONS.values()])
    scores, predictions = [], []
    for modality in ("A", "B"):
        for shift, method in enumerate(TABLE_II):
            predictions.append(Prediction("tiny", modality, method, 0.1, 0, folder / f"{method}-{modality}.h5"))
            masks = ((name, np.roll(mask, shift, axis=3)) for name, mask in truth.items())
            write_predictions(masks, REGIONS, predictions[-1].path)
            run = {
                "cohort": "tiny",
                "pair": "A-B",
                "modality": modality,
                "method": method,
                "label_ratio": 0.1,
                "seed": 0,
            }
            rows = [
                {**run, "subject": name, "region": region} | dict.fromkeys(METRIC_KEYS, 0.5)
                for name in names
                for region in REGIONS
            ]
            scores.append(folder / f"{method}-{modality}.csv")
            write_scores(rows, scores[-1])
    contents = PageContents(
        title="Many patients",
        cohorts=[PageCohort("tiny", "Tiny", True, REGIONS, patients, ("A", "B"), [folder / "0.h5"])],
        methods={key: {"label": METHODS[key].label, "group": METHODS[key].group} for key in TABLE_II},
        scores=scores,
        predictions=predictions,
        ratio=0.1,
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    write_page(contents, folder / "index.html")
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    megabytes = (folder / "index.html").stat().st_size / 1e6
    print(f"page of {patients} patients: {seconds:.0f} s, {after.ru_maxrss / 2**20:.2f} GB at most, {megabytes:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=int, default=500, help="patients of the cohort that is checked")
    parser.add_argument("--page", type=int, default=200, help="test patients of the page")
    parser.add_argument("--only-page", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.only_page:
            make_page(folder, arguments.page)
            return
        make_cohort(folder, arguments.check)
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "mcd.cli", "check-cohort", "--config", str(folder / "mine.yaml")],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = sum(os.times()[2:4]) - sum(before[2:4])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(f"check-cohort of {arguments.check} patients: {seconds:.0f} s, {peak:.2f} GB at most", flush=True)
    subprocess.run([sys.executable, __file__, "--only-page", "--page", str(arguments.page)], check=True)


if __name__ == "__main__":
    main()

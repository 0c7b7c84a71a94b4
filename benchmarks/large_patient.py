"""What a whole body takes: a CT of 512 x 512 x 600 with a PET and a label of 51 (or 100) million voxels, made and preprocessed.

    python benchmarks/large_patient.py

prints processor seconds and the peak of memory of reading and preprocessing, in a process of its own, without making the files.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mcd.imaging.geometry import Grid
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import preprocess_subject
from mcd.imaging.write_volume import write_volume
from mcd.subject import Subject

STRAIGHT = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
CT = Grid((512, 512, 600), (0.98, 0.98, 1.5), (0.0, 0.0, 0.0), STRAIGHT)
PET = Grid((200, 200, 300), (2.5, 2.5, 3.0), (0.0, 0.0, 0.0), STRAIGHT)


def make(folder: Path, labelled: float) -> None:
    """An elliptic body of noise in air; the label is a block."""
    rng = np.random.default_rng(0)
    y, x = np.ogrid[:512, :512]
    body = ((x - 256) / 205) ** 2 + ((y - 256) / 154) ** 2 < 1
    values = np.where(body, rng.integers(-20, 120, CT.shape, dtype=np.int16), np.int16(-1000))
    write_volume(CT.image(values), folder / "ct.nii.gz")
    write_volume(PET.image(np.abs(rng.normal(size=PET.shape)).astype(np.float32)), folder / "pet.nii.gz")
    label = np.zeros(CT.shape, np.uint8)
    label[: int(labelled * 1e6 / 400**2), 56:456, 56:456] = 1
    write_volume(CT.image(label), folder / "label.nii.gz")


def preprocess(folder: Path) -> None:
    options = PreprocessOptions(
        size=(144, 144), spacing=(3.0, 3.0, 3.0), statistics_region={"CT": "body", "PET": "nonzero"}
    )
    images = {"CT": folder / "ct.nii.gz", "PET": folder / "pet.nii.gz"}
    started = time.process_time()
    preprocess_subject(Subject("large", images, label=folder / "label.nii.gz"), options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{time.process_time() - started:.1f} processor seconds, {peak:.2f} GB at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=float, nargs="+", default=[51, 95], help="million voxels")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        preprocess(arguments.folder)
    else:
        for labelled in arguments.labelled:
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder), labelled)
                print(f"{labelled:g} million labelled voxels: ", end="", flush=True)
                subprocess.run([sys.executable, __file__, "--folder", folder], check=True)

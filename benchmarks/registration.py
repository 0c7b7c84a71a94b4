"""What registration recovers and costs: headers moved by known transforms, of a simulated and of real patients.

    python benchmarks/registration.py [FOLDER OF REAL PATIENTS]

Prints the tables of docs/how_to/registration.md.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mcd.imaging.io import read_volume
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import preprocess_subject
from mcd.imaging.registration import transform_of
from mcd.simulation.brain.drawing import simulate_brain
from mcd.subject import Subject

MOVES = {
    "none": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0),
    "5°, 8 mm": ((0.05, -0.06, 0.08), (5.0, -4.0, 4.0), 1.0),
    "12°, 22 mm": ((-0.1, 0.1, 0.15), (-15.0, 10.0, 12.0), 1.0),
    "500 mm": ((0.0, 0.0, 0.0), (400.0, 0.0, -300.0), 1.0),
    "5°, 8 mm, scale 1.04": ((0.05, -0.06, 0.08), (5.0, -4.0, 4.0), 1.04),
}


def displaced(
    image: sitk.Image, turn: Sequence[float], shift: Sequence[float], scale: float
) -> tuple[sitk.Image, np.ndarray, np.ndarray]:
    """An image whose header was transformed about its centre, and the matrix and translation used."""
    centre = np.asarray(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))
    matrix = np.reshape(sitk.Euler3DTransform((0, 0, 0), *turn).GetMatrix(), (3, 3)) * scale
    translation = centre + shift - matrix @ centre
    moved = sitk.Image(image)
    moved.SetOrigin((matrix @ image.GetOrigin() + translation).tolist())
    moved.SetSpacing([side * scale for side in image.GetSpacing()])
    moved.SetDirection((matrix / scale @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    return moved, matrix, translation


def recover(
    folder: str, title: str, fixed: str | Path, moving: str | Path, options: dict[str, Any], **files: Any
) -> None:
    for name, (turn, shift, scale) in MOVES.items():
        kind = "affine" if scale != 1 else "rigid"
        moved, matrix, translation = displaced(read_volume(moving), turn, shift, scale)
        sitk.WriteImage(moved, f"{folder}/moved.nii.gz")
        subject = Subject("p", {"fixed": Path(fixed), "moving": Path(folder, "moved.nii.gz")}, **files)
        begin = time.process_time()
        pre = preprocess_subject(subject, PreprocessOptions(registration=kind, **options))
        seconds = time.process_time() - begin
        found = pre.info["registration"]["moving"]
        points = pre.grid.world(np.argwhere(pre.region)[::97, ::-1])
        truth = points @ matrix.T + translation
        transform = transform_of(pre.info, "moving")
        ends = points @ np.reshape(transform.GetMatrix(), (3, 3)).T + transform.GetTranslation()
        before, after = (np.linalg.norm(one - truth, axis=1).mean() for one in (points, ends))
        numbers = f"{before:.1f} | {after:.2f} | {found['similarity_before']:.3f} | {found['similarity_after']:.3f}"
        print(f"| {title} | {name} | {kind} | {numbers} | {seconds:.0f} | {found['problem'] or '-'} |", flush=True)


def sarcomas(real: Path) -> None:
    parts = {"T1": "MR_T1", "CT": "CT", "PET": "PET"}
    for order in (("CT", "PET", "T1"), ("T1", "CT", "PET")):
        for patient in ("STS_001", "STS_002"):
            images = {name: real / "sarcoma_pet_ct" / patient / parts[name] / "image.nii.gz" for name in order}
            options: dict[str, Any] = {"size": (96, 96), "spacing": (2, 2, 2), "statistics_region": {"CT": "body"}}
            pre = preprocess_subject(Subject(patient, images), PreprocessOptions(registration="rigid", **options))
            for name, found in pre.info["registration"].items():
                numbers = f"{found['similarity_before']:.3f} | {found['similarity_after']:.3f} | {found['displacement_mm']:.1f}"
                print(f"| {patient} | {name} on {order[0]} | {numbers} | {found['problem'] or '-'} |", flush=True)


with tempfile.TemporaryDirectory() as folder:
    print("| patient | moved by | kind | mm before | mm after | similarity before | after | CPU s | problem |")
    for name, image in simulate_brain("SIM0001", seed=0).items():
        sitk.WriteImage(image, f"{folder}/{name}.nii.gz")
    recover(folder, "simulated, T2 on T1CE", f"{folder}/T1CE.nii.gz", f"{folder}/T2.nii.gz", {"size": (160, 160)})
    if len(sys.argv) > 1:
        real = Path(sys.argv[1])
        for patient in ("pat0003", "pat0006"):
            brain = real / f"brats_2013/brats_2013_{patient}_1"
            recover(
                *(folder, f"{patient}, FLAIR on T1CE", brain / "T1c_subtrMeanDivStd.nii.gz"),
                *(brain / "Flair_subtrMeanDivStd.nii.gz", {"size": (160, 160)}),
                mask=brain / "brainmask.nii.gz",
            )
        print("| patient | registered | similarity before | after | moved mm | problem |")
        sarcomas(real)

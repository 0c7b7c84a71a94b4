"""The official layout of BraTS 2018: `HGG/<id>/<id>_{t1,t1ce,t2,flair,seg}.nii.gz`.

Only the high-grade patients are taken, as in the paper (Sec. V: 210 HGG patients); `LGG/` is never looked at.
"""

from functools import partial
from pathlib import Path

from mcd.cohorts.layout import Fault, Layout, Simulator, choose_modalities, patients_by_name, refuse
from mcd.errors import McdError
from mcd.subject import Subject

MODALITIES = ("T1", "T1CE", "T2", "FLAIR")
_ENDINGS = {**{modality: modality.lower() for modality in MODALITIES}, "label": "seg"}


def files(folder: Path, subject_id: str) -> Subject:
    """Return where the files of one patient are by convention, existing or not."""
    images = {modality: _file(folder, subject_id, modality) for modality in MODALITIES}
    return Subject(subject_id, images, label=_file(folder, subject_id, "label"))


def _file(folder: Path, subject_id: str, what: str) -> Path:
    return Path(folder) / "HGG" / subject_id / f"{subject_id}_{_ENDINGS[what]}.nii.gz"


def subjects(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return every patient below `folder/HGG`, sorted by id; a patient without a `seg` file has no label.

    Copies with plain `.nii` files, or with another prefix than the folder's name, are understood too.
    Raises `McdError` when there is no patient, or when a patient lacks a modality; the latter by way of `fault`.
    """
    folder = Path(folder)
    chosen = choose_modalities(modalities, MODALITIES, "brats2018")
    patients = sorted(path for path in folder.glob("HGG/*") if path.is_dir() and not path.name.startswith("."))
    if not patients:
        raise McdError(f"{folder}: no HGG/<id> folder in it; give the folder of BraTS 2018 that holds HGG/ and LGG/")
    return patients_by_name([patient.name for patient in patients], partial(_find, folder), chosen, fault)


def _find(folder: Path, subject_id: str, what: str) -> Path:
    """The one volume of a patient that ends as `_file` says; `_file`, when there is none or the choice is open."""
    named = _file(folder, subject_id, what)
    stem = named.name.removesuffix(".nii.gz")
    for suffix in (".nii.gz", ".nii"):
        exact = named.with_name(f"{stem}{suffix}")
        if exact.is_file():
            return exact
        candidates = [path for path in named.parent.glob(f"*_{_ENDINGS[what]}{suffix}") if path.is_file()]
        if len(candidates) == 1:
            return candidates[0]
    return named


LAYOUT = Layout(
    subjects,
    MODALITIES,
    simulator=Simulator(files, "mcd.simulation.brain.drawing:simulate_brain", scanners=("MR",)),
    regions=lambda folder: {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)},
)

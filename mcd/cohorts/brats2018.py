"""The official layout of BraTS 2018: `HGG/<id>/<id>_{t1,t1ce,t2,flair,seg}.nii.gz`.

Only the high-grade patients are taken, as in the paper (Sec. V: 210 HGG patients); `LGG/` is never looked at.
"""

from pathlib import Path

from mcd.cohorts.layout import Fault, Layout, Simulator, choose_modalities, faults, refuse
from mcd.errors import McdError
from mcd.subject import Subject, check_id

MODALITIES = ("T1", "T1CE", "T2", "FLAIR")


def files(folder: Path, subject_id: str) -> Subject:
    """Return where the files of one patient are by convention, existing or not."""
    stem = Path(folder) / "HGG" / subject_id / subject_id
    images = {modality: Path(f"{stem}_{modality.lower()}.nii.gz") for modality in MODALITIES}
    return Subject(subject_id, images, label=Path(f"{stem}_seg.nii.gz"))


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
    found = []
    for patient in patients:
        identifier = patient.name
        with faults(fault, identifier):
            check_id(identifier, str(patient.parent))
        images = {modality: _find(patient, modality.lower()) for modality in chosen}
        for modality, path in images.items():
            if path is None:
                missing = files(folder, identifier).images[modality]
                remedy = f"add the patient's {modality} or remove the folder {patient}"
                fault(McdError(f"{missing}: no such file; {remedy}"), identifier)
        present = {modality: path for modality, path in images.items() if path is not None}
        found.append(Subject(identifier, present, label=_find(patient, "seg")))
    return found


def _find(patient: Path, ending: str) -> Path | None:
    """The one volume of a patient's folder that ends on `_<ending>`; None when there is none or the choice is open."""
    for suffix in (".nii.gz", ".nii"):
        exact = patient / f"{patient.name}_{ending}{suffix}"
        if exact.is_file():
            return exact
        candidates = [path for path in patient.glob(f"*_{ending}{suffix}") if path.is_file()]
        if len(candidates) == 1:
            return candidates[0]
    return None


LAYOUT = Layout(
    subjects,
    MODALITIES,
    simulator=Simulator(files, "mcd.simulation.brain.drawing:simulate_brain", scanners=("MR",)),
    regions=lambda folder: {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)},
)

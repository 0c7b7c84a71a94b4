"""Registration recovers known displacements, says when it could not, and is undone on the raw grid."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from matplotlib.colors import to_rgb

from mcd.errors import McdError
from mcd.imaging import registration
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_volume
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import Preprocessed, preprocess_subject, write_preprocessed
from mcd.imaging.qc import draw_registration
from mcd.imaging.registration import transform_of
from mcd.imaging.registration_summary import write_summary
from mcd.prediction.raw_grid import write_on_raw_grid
from mcd.simulation.brain.drawing import simulate_brain
from mcd.subject import Subject

Triple = tuple[float, float, float]
TURN, SHIFT = (0.05, -0.06, 0.08), (5.0, -4.0, 4.0)  # radians and mm: some 9 mm in a head


def displaced(
    image: sitk.Image, turn: Triple = TURN, shift: Triple = SHIFT, scale: float = 1.0
) -> tuple[sitk.Image, sitk.AffineTransform]:
    """An image whose header was moved about its middle, voxels untouched, and the transform that moved it."""
    centre = np.asarray(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))
    matrix = np.reshape(sitk.Euler3DTransform(centre.tolist(), *turn).GetMatrix(), (3, 3)) * scale
    transform = sitk.AffineTransform(matrix.ravel().tolist(), (centre + shift - matrix @ centre).tolist())
    moved = sitk.Image(image)
    moved.SetOrigin(transform.TransformPoint(image.GetOrigin()))
    moved.SetSpacing([side * scale for side in image.GetSpacing()])
    moved.SetDirection((matrix / scale @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    return moved, transform


def apart(found: sitk.AffineTransform, truth: sitk.AffineTransform, pre: Preprocessed) -> float:
    """How far two transforms take the voxels of a patient's content from one another, mean in mm."""
    points = pre.grid.world(np.argwhere(pre.region)[:, ::-1])
    ends = [points @ np.reshape(t.GetMatrix(), (3, 3)).T + t.GetTranslation() for t in (found, truth)]
    return float(np.linalg.norm(ends[0] - ends[1], axis=1).mean())


def after(first: sitk.AffineTransform, second: sitk.AffineTransform) -> sitk.AffineTransform:
    """`first` and then `second`."""
    matrices = [np.reshape(transform.GetMatrix(), (3, 3)) for transform in (first, second)]
    return sitk.AffineTransform(
        (matrices[1] @ matrices[0]).ravel().tolist(), second.TransformPoint(first.GetTranslation())
    )


@pytest.fixture(scope="module")
def brain() -> dict[str, sitk.Image]:
    """A simulated patient; its modalities fit as they are."""
    return simulate_brain("SIM0001", seed=0, spacing={"MR": (3, 3, 3)})


Make = Callable[..., Subject]


@pytest.fixture
def make(brain: dict[str, sitk.Image], tmp_path: Path) -> Make:
    def _make(**images: sitk.Image) -> Subject:
        paths = {}
        for name, image in {"T1CE": brain["T1CE"], **images, "label": brain["label"]}.items():
            paths[name] = tmp_path / f"{name}.nii.gz"
            sitk.WriteImage(image, str(paths[name]))
        return Subject("SIM0001", paths, label=paths.pop("label"))

    return _make


def options(kind: str | dict[str, str]) -> PreprocessOptions:
    return PreprocessOptions(size=(96, 96), spacing=(2, 2, 2), registration=kind)


# ---- what it recovers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "turn", "shift", "scale"),
    [
        ("rigid", TURN, SHIFT, 1.0),
        ("rigid", (0.0, 0.0, 0.0), (400.0, 0.0, -300.0), 1.0),  # nothing in common: the middles are the start
        ("affine", TURN, SHIFT, 1.04),
    ],
)
def test_a_displaced_simulated_patient_comes_back_within_a_voxel(
    make: Make, brain: dict[str, sitk.Image], kind: str, turn: Triple, shift: Triple, scale: float
) -> None:
    moved, truth = displaced(brain["T2"], turn, shift, scale)
    pre = preprocess_subject(make(T2=moved), options(kind))
    numbers = pre.info["registration"]["T2"]
    assert apart(transform_of(pre.info, "T2"), truth, pre) < 1
    assert numbers["similarity_after"] > numbers["similarity_before"]
    assert numbers["displacement_mm"] == pytest.approx(apart(truth, sitk.AffineTransform(3), pre), rel=0.15)
    assert numbers["problem"] == ""
    assert pre.info["warnings"] == []


def test_a_patient_that_fits_stays(make: Make, brain: dict[str, sitk.Image]) -> None:
    pre = preprocess_subject(make(T2=brain["T2"]), options("rigid"))
    assert apart(transform_of(pre.info, "T2"), sitk.AffineTransform(3), pre) < 1


def test_two_runs_give_the_same_transform_whatever_the_threads(make: Make, brain: dict[str, sitk.Image]) -> None:
    subject = make(T2=displaced(brain["T2"])[0])
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    found = []
    for number in (1, 3):
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(number)
        found.append(preprocess_subject(subject, options("rigid")).info["registration"])
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    assert found[0] == found[1]


def test_only_the_modalities_named_are_registered(make: Make, brain: dict[str, sitk.Image]) -> None:
    subject = make(T2=displaced(brain["T2"])[0], FLAIR=brain["FLAIR"])
    pre = preprocess_subject(subject, options({"T2": "rigid"}))
    assert list(pre.info["registration"]) == ["T2"]
    assert preprocess_subject(subject, options({"PET": "rigid"})).info["registration"] == {}  # a patient without one
    with pytest.raises(McdError, match=r"registration.T2: .*'off', 'rigid' or 'affine' \(given: 'elastic'\)"):
        PreprocessOptions.read({"size": (96, 96), "registration": {"T2": "elastic"}}, "preprocessing")


# ---- back on the raw grid --------------------------------------------------------------------------------------------


def returned(pre: Preprocessed, modality: str, path: Path) -> np.ndarray:
    """A patient's label, written as a prediction on a modality's raw grid."""
    assert pre.label is not None
    write_on_raw_grid(pre.label, pre.info, modality, path)
    raw = Grid.from_json(pre.info["raw_grids"][modality])
    assert Grid.of(read_volume(path)).size == raw.size
    assert Grid.of(read_volume(path)).direction == pytest.approx(
        raw.direction, abs=1e-6
    )  # NIfTI has it in single precision
    return array_of(read_volume(path)) > 0


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_a_label_comes_back_on_the_moved_modalitys_own_voxels(
    make: Make, brain: dict[str, sitk.Image], tmp_path: Path
) -> None:
    pre = preprocess_subject(make(T2=displaced(brain["T2"])[0]), options("rigid"))
    own = array_of(brain["label"]) > 0  # the header alone was moved, so these are the voxels of the moved T2, too
    assert dice(returned(pre, "T2", tmp_path / "back.nii.gz"), own) > 0.95
    without = {**pre.info, "registration": {}}
    assert pre.label is not None
    write_on_raw_grid(pre.label, without, "T2", tmp_path / "without.nii.gz")
    assert dice(array_of(read_volume(tmp_path / "without.nii.gz")) > 0, own) < 0.9


# ---- what fails is reported ----------------------------------------------------------------------------------------------


def test_a_fallen_similarity_leaves_the_modality_and_flags_the_patient(
    make: Make, brain: dict[str, sitk.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder, the table and the picture."""
    monkeypatch.setattr(registration, "_optimise", lambda *given: given[3].SetTranslation((30.0, 0.0, 0.0)))
    subject = make(T2=brain["T2"])
    pre = preprocess_subject(subject, options("affine"))
    numbers = pre.info["registration"]["T2"]
    assert numbers["similarity_after"] < numbers["similarity_before"]
    assert transform_of(pre.info, "T2").GetParameters() == sitk.AffineTransform(3).GetParameters()
    assert numbers["problem"].startswith("rigid registration brought the similarity from")
    assert pre.info["warnings"] == [f"T2 left unregistered: {numbers['problem']}"]
    np.testing.assert_array_equal(pre.volumes["T2"], preprocess_subject(subject, options("off")).volumes["T2"])

    write_preprocessed(pre, tmp_path / "patient")
    assert write_summary([tmp_path / "patient"], tmp_path / "table.csv") == [
        f"SIM0001: T2 on T1CE: {numbers['problem']}"
    ]
    table = pd.read_csv(tmp_path / "table.csv")
    assert table.loc[0, ["patient", "modality", "reference", "kind", "flagged"]].tolist() == [
        *("SIM0001", "T2", "T1CE", "affine", 1)
    ]
    assert table.loc[0, "similarity_after"] == numbers["similarity_after"]
    draw_registration(tmp_path / "patient", subject.images, tmp_path / "flagged.png")
    assert pixels_of(tmp_path / "flagged.png", "#FFB454") > 100


def test_a_failed_affine_stage_keeps_the_rigid_one(
    make: Make, brain: dict[str, sitk.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    optimise = registration._optimise

    def failing(*given: object) -> None:
        if isinstance(given[3], sitk.AffineTransform):
            raise RuntimeError("no")
        optimise(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(registration, "_optimise", failing)
    moved, truth = displaced(brain["T2"])
    pre = preprocess_subject(make(T2=moved), options("affine"))
    assert apart(transform_of(pre.info, "T2"), truth, pre) < 1
    assert "affine registration failed" in pre.info["registration"]["T2"]["problem"]
    assert "affine registration failed" in pre.info["warnings"][0]


def test_images_with_nothing_in_common_are_left_and_told() -> None:
    place = Grid((40, 40, 40), (2.0, 2.0, 2.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ball = np.linalg.norm(np.indices(place.shape) - 20, axis=0) < 12
    constant = place.image(np.ones(place.shape, np.float32))
    found = registration.register(place.image(ball.astype(np.float32)), constant, ball, ball, "rigid")
    assert found.problem
    assert found.displacement == 0
    assert found.after == pytest.approx(0, abs=1e-6)


# ---- the picture -----------------------------------------------------------------------------------------------------


def pixels_of(path: Path, colour: str) -> int:
    picture = matplotlib.image.imread(path)
    return int((np.abs(picture[..., :3] - to_rgb(colour)).max(axis=-1) < 0.08).sum())


def test_the_checkerboards_show_both_modalities_before_and_after(
    make: Make, brain: dict[str, sitk.Image], tmp_path: Path
) -> None:
    subject = make(T2=displaced(brain["T2"])[0])
    write_preprocessed(preprocess_subject(subject, options("rigid")), tmp_path / "patient")
    draw_registration(tmp_path / "patient", subject.images, tmp_path / "picture.png")
    picture = matplotlib.image.imread(tmp_path / "picture.png")[..., :3]
    violet = picture[..., 2] - picture[..., 1] > 0.1
    grey = (np.ptp(picture, axis=-1) < 0.02) & (picture.max(axis=-1) > 0.2)
    assert violet.mean() > 0.05
    assert grey.mean() > 0.05
    half = len(picture) // 2
    assert np.abs(violet[:half].sum() / violet[half:].sum() - 1) < 0.5  # as much of it in either row
    assert pixels_of(tmp_path / "picture.png", "#FFB454") < 100


# ---- real patients ---------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_a_displaced_real_glioma_comes_back_within_a_voxel(real_patients: Path, tmp_path: Path) -> None:
    folder = real_patients / "brats_2013/brats_2013_pat0003_1"
    moved, truth = displaced(read_volume(folder / "Flair_subtrMeanDivStd.nii.gz"))
    sitk.WriteImage(moved, str(tmp_path / "moved.nii.gz"))
    subject = Subject(
        "pat0003",
        {"T1CE": folder / "T1c_subtrMeanDivStd.nii.gz", "FLAIR": tmp_path / "moved.nii.gz"},
        label=folder / "OTMultiClass.nii.gz",
        mask=folder / "brainmask.nii.gz",
    )
    pre = preprocess_subject(subject, PreprocessOptions(size=(160, 160), registration="rigid"))
    assert apart(transform_of(pre.info, "FLAIR"), truth, pre) < 1
    raw = array_of(read_volume(folder / "OTMultiClass.nii.gz")) > 0.5
    assert dice(returned(pre, "FLAIR", tmp_path / "back.nii.gz"), raw) > 0.95


@pytest.mark.real
def test_t1_ct_and_pet_of_real_sarcomas_are_registered_or_flagged(real_patients: Path) -> None:
    """Fields of view some 15 cm wide, in which mutual information also rises by leading astray: never without a flag."""
    kinds = {"CT": "body"}
    for patient in ("STS_001", "STS_002"):
        folder = real_patients / "sarcoma_pet_ct" / patient
        images = {
            name: folder / part / "image.nii.gz" for name, part in (("T1", "MR_T1"), ("CT", "CT"), ("PET", "PET"))
        }
        subject = Subject(patient, images, label=folder / "MR_T1/mask.nii.gz")
        pre = preprocess_subject(
            subject,
            PreprocessOptions(size=(96, 96), spacing=(2, 2, 2), statistics_region=kinds, registration="rigid"),
        )
        flagged = 0
        for numbers in pre.info["registration"].values():
            if numbers["problem"]:
                flagged += 1
                assert numbers["displacement_mm"] == 0
            else:
                assert numbers["similarity_after"] > numbers["similarity_before"]
        assert len(pre.info["warnings"]) == flagged


@pytest.mark.real
def test_a_displaced_real_pet_comes_back_within_one_of_its_voxels(real_patients: Path, tmp_path: Path) -> None:
    """To where it lies on the CT by registration as it is: its file's coordinates are no truth for a patient who moved."""
    folder = real_patients / "sarcoma_pet_ct/STS_002"
    pet = read_volume(folder / "PET/image.nii.gz")
    moved, truth = displaced(pet)
    sitk.WriteImage(moved, str(tmp_path / "moved.nii.gz"))
    found = []
    for file in (folder / "PET/image.nii.gz", tmp_path / "moved.nii.gz"):
        subject = Subject("STS_002", {"CT": folder / "CT/image.nii.gz", "PET": file})
        pre = preprocess_subject(
            subject,
            PreprocessOptions(size=(96, 96), spacing=(2, 2, 2), statistics_region={"CT": "body"}, registration="rigid"),
        )
        assert pre.info["registration"]["PET"]["problem"] == ""
        found.append(transform_of(pre.info, "PET"))
    assert apart(found[1], after(found[0], truth), pre) < max(pet.GetSpacing())

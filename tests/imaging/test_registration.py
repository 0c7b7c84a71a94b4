"""Registration recovers known displacements, says when it could not, and is undone on the raw grid."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

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
    assert np.log(32) > numbers["similarity_after"] > numbers["similarity_before"] >= 0  # nats, of 32 grey levels
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
    assert b"\r" not in (tmp_path / "table.csv").read_bytes()
    assert table.loc[0, ["patient", "modality", "reference", "kind", "flagged"]].tolist() == [
        *("SIM0001", "T2", "T1CE", "affine", 1)
    ]
    assert table.loc[0, "similarity_after"] == numbers["similarity_after"]
    draw_registration(tmp_path / "patient", subject.images, tmp_path / "flagged.png")
    assert pixels_of(tmp_path / "flagged.png", "#FFB454") > 100


def test_the_middle_is_that_of_the_region_and_of_the_whole_grid_where_it_is_empty() -> None:
    grid = Grid((20, 30, 10), (1.0, 2.0, 3.0), (5.0, -7.0, 11.0), (0, 1, 0, 1, 0, 0, 0, 0, -1))
    region = np.zeros(grid.shape, bool)
    ends = grid.world(np.asarray([(0, 0, 0), (19, 29, 9)]))
    np.testing.assert_allclose(registration._centre(grid, region), ends.mean(axis=0))
    region[2:5, 10:21, 3] = True
    region[8, 0, 19] = True
    expected = grid.world(np.argwhere(region)[:, ::-1]).mean(axis=0)
    np.testing.assert_allclose(registration._centre(grid, region), expected)


def test_a_mask_says_what_is_registered(
    make: Make, brain: dict[str, sitk.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Grid.of(brain["T1CE"])
    starts, stops = np.asarray(grid.size) * 3 // 8, np.asarray(grid.size) * 5 // 8
    box = np.zeros(grid.shape, np.uint8)
    box[tuple(slice(start, stop) for start, stop in zip(starts[::-1], stops[::-1], strict=True))] = 1
    sitk.WriteImage(grid.image(box), str(tmp_path / "mask.nii.gz"))
    seen: list[tuple[np.ndarray, np.ndarray, Grid, Grid]] = []

    def register(
        fixed: sitk.Image, moving: sitk.Image, compared: np.ndarray, region: np.ndarray, kind: str
    ) -> registration.Registration:
        seen.append((compared, region, Grid.of(fixed), Grid.of(moving)))
        return registration.Registration(kind, sitk.AffineTransform(3), 0.0, 0.0, 0.0, "")

    monkeypatch.setattr("mcd.imaging.preprocess.register", register)
    preprocess_subject(replace(make(T2=brain["T2"]), mask=tmp_path / "mask.nii.gz"), options("rigid"))
    ((compared, region, fixed, moving),) = seen
    box_ml = box.sum() * grid.voxel_ml
    assert region.sum() * moving.voxel_ml == pytest.approx(box_ml, rel=0.2)
    assert box_ml < compared.sum() * fixed.voxel_ml < 8 * box_ml  # with the surroundings of the box
    spacing = np.asarray(grid.spacing)
    for voxels, place, wide in ((region, moving, 4.0), (compared, fixed, 16.0)):
        inside = grid.index(place.world(np.argwhere(voxels)[:, ::-1])) * spacing
        assert (inside.min(axis=0) > starts * spacing - wide).all()
        assert (inside.max(axis=0) < stops * spacing + wide).all()


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


@pytest.mark.parametrize(
    ("similarity", "covered", "moved", "said"),
    [
        ((0.5, 0.9), (1.0, 0.95), 3.0, ""),  # a little less covered, as after any turn
        ((0.5, 0.9), (1.0, 0.89), 3.0, "moved it out of the field of view: it covers 89% instead of 100%"),
        ((0.5, 0.9), (0.5, 0.46), 30.0, ""),
        ((0.5, 0.5), (1.0, 1.0), 3.0, "brought the similarity from 0.5000 to 0.5000"),
        ((0.5, 0.51), (1.0, 1.0), 4.9, ""),
        ((0.5, 0.51), (1.0, 1.0), 5.1, "would move it by 5.1 mm for a negligible gain"),
        ((0.5, 0.53), (1.0, 1.0), 50.0, ""),
    ],
)
def test_a_stage_is_taken_where_it_gains_enough(
    similarity: tuple[float, float], covered: tuple[float, float], moved: float, said: str
) -> None:
    found = registration._objection("rigid", similarity, covered, moved)
    assert said in found
    assert bool(found) == bool(said)


# ---- the picture -----------------------------------------------------------------------------------------------------


def pixels_of(path: Path, colour: str) -> int:
    picture = matplotlib.image.imread(path)
    return int((np.abs(picture[..., :3] - to_rgb(colour)).max(axis=-1) < 0.08).sum())


def test_the_checkerboards_show_both_modalities_before_and_after(
    make: Make, brain: dict[str, sitk.Image], sheets: list[Figure], tmp_path: Path
) -> None:
    subject = make(T2=displaced(brain["T2"])[0])
    pre = preprocess_subject(subject, options("rigid"))
    write_preprocessed(pre, tmp_path / "patient")
    draw_registration(tmp_path / "patient", subject.images, tmp_path / "picture.png")
    picture = matplotlib.image.imread(tmp_path / "picture.png")[..., :3]
    violet = picture[..., 2] - picture[..., 1] > 0.1
    grey = (np.ptp(picture, axis=-1) < 0.02) & (picture.max(axis=-1) > 0.2)
    assert violet.mean() > 0.05
    assert grey.mean() > 0.05
    (figure,) = sheets
    numbers = pre.info["registration"]["T2"]
    assert [panel.get_ylabel() for panel in figure.axes] == [
        *(f"T2 before\nsimilarity {numbers['similarity_before']:.3f}", "", ""),
        f"T2 rigid\nsimilarity {numbers['similarity_after']:.3f}, moved {numbers['displacement_mm']:.1f} mm",
        *("", ""),
    ]
    assert pre.label is not None
    codes = [f"label {code}" for code in np.unique(pre.label) if code]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["T1CE", "T2", *codes]
    before, moved = [np.asarray(panel.images[0].get_array()) for panel in figure.axes[:3]], []
    for number, panel in enumerate(figure.axes):
        axis = number % 3
        (image,) = panel.images
        vertical, horizontal = (side for place, side in enumerate(pre.grid.spacing[::-1]) if place != axis)
        assert panel.get_aspect() == vertical / horizontal
        assert image.origin == ("upper" if axis == 0 else "lower")
        shown = np.asarray(image.get_array())
        rows, columns = np.indices(shown.shape[:2])
        square = max(shown.shape[0] * vertical, shown.shape[1] * horizontal) / 8
        tinted = (np.floor(rows * vertical / square) + np.floor(columns * horizontal / square)) % 2 == 1
        bright = shown.max(axis=-1) > 0.05
        assert ((np.ptp(shown, axis=-1) > 0) == tinted)[bright].all()
        if number >= 3:  # the reference stays where it was, the other modality has moved
            np.testing.assert_array_equal(shown[~tinted], before[axis][~tinted])
            moved.append(np.abs(shown - before[axis])[tinted].max())
    assert min(moved) > 0.05
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

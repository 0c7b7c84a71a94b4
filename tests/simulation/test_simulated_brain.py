"""Simulated glioma patients: reproducible, well-formed files, and contrasts that a radiologist expects."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.simulation.brain import anatomy as brain_anatomy
from mcd.simulation.brain.drawing import MODALITIES, simulate_brain
from mcd.simulation.brain.glioma import PLANNING_GRID, mass_effect
from mcd.simulation.brain.mr_signal import MR_TISSUES, RELAXIVITY, PulseSequence
from mcd.simulation.fields import (
    SamplingGrid,
    deformation,
    ellipsoid,
    fractal_field,
    generator,
    random_rotation,
    rician,
    smooth_field,
    soft,
    trilinear,
)

COARSE = (4.0, 4.0, 4.0)


def arrays(images: dict[str, sitk.Image]) -> dict[str, np.ndarray]:
    return {key: sitk.GetArrayFromImage(image) for key, image in images.items()}


def digest(images: dict[str, sitk.Image]) -> str:
    return hashlib.sha256(b"".join(volume.tobytes() for volume in arrays(images).values())).hexdigest()


@pytest.fixture(scope="module")
def images() -> list[dict[str, sitk.Image]]:
    return [simulate_brain(f"sim-{number}", seed=11, spacing={"MR": COARSE}) for number in range(6)]


@pytest.fixture(scope="module")
def patients(images: list[dict[str, sitk.Image]]) -> list[dict[str, np.ndarray]]:
    return [arrays(patient) for patient in images]


def contrast(patient: dict[str, np.ndarray], modality: str, code: int) -> float:
    """Mean of a region minus mean of the healthy brain, in standard deviations of the healthy brain."""
    volume, label = patient[modality].astype(float), patient["label"]
    healthy = volume[(label == 0) & (patient["T1"] > 0)]
    return float((volume[label == code].mean() - healthy.mean()) / healthy.std())


def test_same_seed_and_subject_give_the_same_patient_whatever_came_before(images: list[dict[str, sitk.Image]]) -> None:
    assert digest(simulate_brain("sim-3", seed=11, spacing={"MR": COARSE})) == digest(images[3])


def test_another_process_gives_the_same_patient(images: list[dict[str, sitk.Image]]) -> None:
    code = (
        "import sys, hashlib, SimpleITK as sitk\n"
        "from mcd.simulation.brain.drawing import simulate_brain\n"
        "images = simulate_brain('sim-0', seed=11, spacing={'MR': (4.0, 4.0, 4.0)})\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules, 'slow imports'\n"
        "data = b''.join(sitk.GetArrayFromImage(image).tobytes() for image in images.values())\n"
        "print(hashlib.sha256(data).hexdigest())\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == digest(images[0])


def test_seeds_and_subjects_differ(images: list[dict[str, sitk.Image]]) -> None:
    digests = {digest(patient) for patient in images} | {
        digest(simulate_brain("sim-0", seed=12, spacing={"MR": COARSE}))
    }
    assert len(digests) == len(images) + 1


def test_files_are_those_of_brats(images: list[dict[str, sitk.Image]]) -> None:
    for patient in images:
        assert list(patient) == [*MODALITIES, "label"]
        for key, image in patient.items():
            assert image.GetPixelID() == (sitk.sitkUInt8 if key == "label" else sitk.sitkInt16)
            assert image.GetSpacing() == COARSE
            assert image.GetSize() == (60, 60, 39)
            assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
            # The same field of view as 240 x 240 x 155 voxels of 1 mm whose first centre is at (0, -239, 0).
            corner = np.array(image.GetOrigin()) - np.array(COARSE) / 2
            np.testing.assert_allclose(corner, (-0.5, -239.5, -0.5))


def test_full_resolution_grid() -> None:
    """The grid of a BraTS file at 1 mm, without the time to draw it."""
    assert SamplingGrid.over(brain_anatomy.BRATS_EXTENT, (1.0, 1.0, 1.0)).shape == (155, 240, 240)


def test_background_is_zero_in_all_modalities_and_brain_in_none(patients: list[dict[str, np.ndarray]]) -> None:
    for patient in patients:
        brain = patient["T1"] != 0
        assert 0.9e6 < brain.sum() * np.prod(COARSE) < 2.2e6  # mm^3
        for modality in MODALITIES:
            assert patient[modality].min() == 0
            np.testing.assert_array_equal(patient[modality] != 0, brain)
        border = np.ones(brain.shape, bool)
        border[:, 1:-1, 1:-1] = False
        assert not brain[border].any()


def test_labels(patients: list[dict[str, np.ndarray]]) -> None:
    for patient in patients:
        label = patient["label"]
        assert set(np.unique(label)) <= {0, 1, 2, 4}
        assert {2, 4} <= set(np.unique(label))
        assert not (label > 0)[patient["T1"] == 0].any()


def test_volumes_are_those_of_high_grade_gliomas(patients: list[dict[str, np.ndarray]]) -> None:
    voxel_ml = np.prod(COARSE) / 1000
    whole = np.array([(patient["label"] > 0).sum() * voxel_ml for patient in patients])
    core = np.array([np.isin(patient["label"], (1, 4)).sum() * voxel_ml for patient in patients])
    assert whole.min() > 15
    assert whole.max() < 215
    assert whole.max() > 1.5 * whole.min()
    assert np.all((core > 3) & (core < 0.95 * whole))


def test_each_modality_shows_what_a_radiologist_expects(patients: list[dict[str, np.ndarray]]) -> None:
    def mean(modality: str, code: int) -> float:
        return float(np.mean([contrast(patient, modality, code) for patient in patients]))

    assert mean("T1CE", 4) > 1.0  # the rim takes up contrast agent
    assert mean("T1CE", 4) > mean("T1CE", 2) + 1.0
    assert mean("T1CE", 4) > mean("T1", 4) + 1.0
    assert mean("FLAIR", 2) > 1.0
    assert mean("T2", 2) > 0.4
    assert mean("T2", 1) > 1.0
    assert abs(mean("T1", 2)) < 0.6  # T1 nearly blind
    for patient in patients:
        assert contrast(patient, "FLAIR", 2) > abs(contrast(patient, "T1", 2))


@pytest.mark.parametrize(
    ("modality", "codes", "limit"), [("FLAIR", (1, 2, 4), 0.85), ("T1CE", (4,), 0.7), ("T1", (1, 2, 4), 0.4)]
)
def test_no_threshold_segments_the_tumour(
    patients: list[dict[str, np.ndarray]], modality: str, codes: tuple[int, ...], limit: float
) -> None:
    """The best threshold on z-scores, chosen with the answers at hand, stays below what a network should reach."""
    best = []
    for threshold in np.arange(0.25, 4, 0.25):
        scores = []
        for patient in patients:
            brain, target = patient["T1"] > 0, np.isin(patient["label"], codes)
            volume = patient[modality].astype(float)
            found = brain & (volume > volume[brain].mean() + threshold * volume[brain].std())
            scores.append(2 * (found & target).sum() / (found.sum() + target.sum()))
        best.append(np.mean(scores))
    assert max(best) < limit


def test_another_spacing_is_the_same_patient(images: list[dict[str, sitk.Image]]) -> None:
    def tumour(patient: dict[str, sitk.Image]) -> tuple[float, np.ndarray]:
        label = sitk.Cast(patient["label"] > 0, sitk.sitkUInt8)
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.Execute(label)
        return shape.GetPhysicalSize(1), np.array(shape.GetCentroid(1))

    volume, centre = tumour(images[2])
    finer_volume, finer_centre = tumour(simulate_brain("sim-2", seed=11, spacing={"MR": (3.0, 3.0, 5.0)}))
    assert finer_volume == pytest.approx(volume, rel=0.1)
    assert np.linalg.norm(centre - finer_centre) < 2.5


def test_noise_is_the_users_to_set() -> None:
    quiet, loud = (
        arrays(simulate_brain("sim-1", seed=11, spacing={"MR": COARSE}, noise=level)) for level in (0.0, 4.0)
    )
    np.testing.assert_array_equal(quiet["label"], loud["label"])
    for modality in MODALITIES:
        brain = quiet[modality] > 0
        difference = loud[modality][brain].astype(float) - quiet[modality][brain]
        assert difference.std() > 0.04 * np.median(quiet[modality][brain])


@pytest.mark.parametrize(
    "mistake", [{"spacing": {"MR": (1, 1, 0)}}, {"spacing": {"MR": (1, 20, 1)}}, {"noise": -1.0}, {"noise": np.nan}]
)
def test_impossible_wishes_are_refused_in_one_line(mistake: dict) -> None:
    with pytest.raises(McdError, match=r"^(spacing|noise) [^\n]*needs[^\n]*$"):
        simulate_brain("sim-0", seed=0, **mistake)


def test_missing_atlas_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    brain_anatomy.atlas.cache_clear()
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    with pytest.raises(McdError, match=r"mni_icbm152_gm.*install nilearn"):
        brain_anatomy.atlas()


def test_signal_equations() -> None:
    tissue = MR_TISSUES["white"]
    spin_echo = tissue.pd * (1 - np.exp(-600 / tissue.t1)) * np.exp(-12 / tissue.t2)
    assert PulseSequence(600, 12).signal(tissue) == pytest.approx(spin_echo)
    # Fluid vanishes at TI = T1 (ln 2 - ln(1 + exp(-TR/T1))), which is what FLAIR is for.
    fluid = MR_TISSUES["csf"]
    null = fluid.t1 * (np.log(2) - np.log(1 + np.exp(-9000 / fluid.t1)))
    assert PulseSequence(9000, 110, null).signal(fluid) == pytest.approx(0, abs=1e-12)
    # Contrast agent shortens T1, and only a scan after its injection sees it.
    enhanced = PulseSequence(600, 12, contrast_agent=True).signal(tissue, 0.5)
    t1 = 1 / (1 / tissue.t1 + RELAXIVITY * 0.5)
    assert enhanced == pytest.approx(tissue.pd * (1 - np.exp(-600 / t1)) * np.exp(-12 / tissue.t2))
    assert PulseSequence(600, 12).signal(tissue, 0.5) == pytest.approx(spin_echo)


def test_generators_are_separate_streams() -> None:
    keys = [(0, "a", ""), (1, "a", ""), (0, "b", ""), (0, "a", "noise"), (0, "anoise", "")]
    draws = {generator(seed, subject, purpose).random() for seed, subject, purpose in keys}
    assert len(draws) == 5
    assert generator(0, "a").random() == generator(0, "a").random()


def test_smooth_fields_have_unit_spread_and_do_not_depend_on_the_grid() -> None:
    extent = (150.0, 180.0, 160.0)
    coarse = SamplingGrid.over(extent, (2.0, 2.0, 2.0))
    for make in (lambda rng, grid: smooth_field(rng, grid, 9.0), lambda rng, grid: fractal_field(rng, grid, 12.0)):
        field = make(generator(3, "f"), coarse)
        assert abs(field.mean()) < 0.1
        assert field.std() == pytest.approx(1, abs=0.08)
    # Where voxel centres coincide, a crop of a grid three times as fine has the same values.
    fine = SamplingGrid.over(extent, (2 / 3, 2 / 3, 2 / 3)).crop((20, 20, 20), (60, 60, 60))
    whole, part = (smooth_field(generator(3, "f"), grid, 9.0) for grid in (coarse, fine))
    np.testing.assert_allclose(part[1::3, 1::3, 1::3][:19], whole[10:29, 10:30, 10:30], atol=1e-4)


def test_shapes_and_resampling() -> None:
    grid = SamplingGrid.over((60.0, 60.0, 60.0), (1.0, 1.0, 1.0))
    turn = random_rotation(generator(0, "turn"))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    depth = ellipsoid(grid, (30.0, 30.0, 30.0), (20.0, 12.0, 8.0), turn)
    assert soft(depth, 1.0).sum() == pytest.approx(4 / 3 * np.pi * 20 * 12 * 8, rel=0.02)
    ramp = np.broadcast_to(grid.axis(0)[:, None, None], grid.shape)
    target = SamplingGrid.over(grid.extent, (1.7, 2.0, 3.0)).crop((10, 10, 10), (50, 50, 50))
    expected = np.broadcast_to(target.axis(0)[:, None, None], target.shape)
    np.testing.assert_allclose(trilinear(ramp, grid, target), expected, rtol=1e-5)


def test_rician_noise_has_its_known_mean() -> None:
    signal = np.zeros((40, 50, 50), np.float32)
    assert rician(generator(0, "n"), signal, 2.0).mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.01)
    assert rician(generator(0, "n"), signal + 100, 2.0).std() == pytest.approx(2, rel=0.02)


def test_mass_effect_makes_room_and_spares_the_skull() -> None:
    """The displaced volume is the part of the core that pushes, and tissue at the brain's surface stays."""
    grid = PLANNING_GRID
    centre, radius = (75.0, 130.0, 120.0), 20.0
    deep = np.full(grid.shape, 50, np.float32)
    push = mass_effect(grid, centre, radius, 0.6, deep)
    offset = [axis - c for axis, c in zip(grid.positions(), centre, strict=True)]
    distance = np.sqrt(offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2)
    source = np.sqrt(sum((o - p) ** 2 for o, p in zip(offset, push, strict=True)))
    edge = np.abs(distance - radius) < 1
    np.testing.assert_allclose(source[edge] ** 3, distance[edge] ** 3 - 0.6 * radius**3, rtol=0.02)
    assert not mass_effect(grid, centre, radius, 0.6, np.zeros(grid.shape, np.float32)).any()


def test_deformations_do_not_fold() -> None:
    grid = SamplingGrid.over((120.0, 120.0, 120.0), (3.0, 3.0, 3.0))
    bend = deformation(generator(1, "d"), grid, 24.0, 1.3)
    jacobian = np.stack([np.stack(np.gradient(bend[k], 3.0)) for k in range(3)])
    jacobian += np.eye(3)[:, :, None, None, None]
    assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0.1

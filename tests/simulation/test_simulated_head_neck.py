"""Simulated head-and-neck patients: reproducible, in HECKTOR's shape, and hard in the way that real ones are."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from mcd.simulation.head_neck.drawing import simulate_head_neck
from mcd.simulation.head_neck.patient import bounding_box

SUBJECTS = [f"P{number}" for number in range(6)]
# Coarser than the default, to be quick: what is tested here does not need the detail.
COARSE = {"spacing": {"CT": (2.0, 2.0, 3.0), "PET": (4.0, 4.0, 4.0)}}


@pytest.fixture(scope="module")
def cohort() -> dict[str, dict[str, sitk.Image]]:
    return {subject: simulate_head_neck(subject, seed=3, **COARSE) for subject in SUBJECTS}


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def on_ct(images: dict[str, sitk.Image]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CT, PET and label, (z, y, x), on the CT's grid."""
    return array(images["CT"]), array(sitk.Resample(images["PET"], images["CT"])), array(images["label"]) > 0


def volume_ml(label: sitk.Image) -> float:
    return float(array(label).sum() * np.prod(label.GetSpacing()) / 1000)


def test_the_same_seed_and_name_give_the_same_patient_in_any_order() -> None:
    first = simulate_head_neck("P1", seed=3, **COARSE)
    simulate_head_neck("P2", seed=3, **COARSE)
    second = simulate_head_neck("P1", seed=3, **COARSE)
    for key, image in first.items():
        np.testing.assert_array_equal(array(image), array(second[key]))
        assert image.GetOrigin() == second[key].GetOrigin()
    assert bounding_box("P1", seed=3) == bounding_box("P1", seed=3)


def test_another_seed_or_name_gives_another_patient(cohort: dict[str, dict[str, sitk.Image]]) -> None:
    other = simulate_head_neck("P0", seed=4, **COARSE)
    for images in (other, cohort["P1"]):
        assert images["CT"].GetOrigin() != cohort["P0"]["CT"].GetOrigin()
        assert volume_ml(images["label"]) != volume_ml(cohort["P0"]["label"])
    assert len({bounding_box(subject, seed=seed) for subject in SUBJECTS for seed in (3, 4)}) == 12


def test_types_and_grids_are_those_of_hecktor() -> None:
    images = simulate_head_neck("P0", seed=3)
    ct, pet, label = images["CT"], images["PET"], images["label"]
    assert set(images) == {"CT", "PET", "label"}
    assert (ct.GetPixelID(), pet.GetPixelID(), label.GetPixelID()) == (sitk.sitkInt16, sitk.sitkFloat32, sitk.sitkUInt8)
    assert ct.GetSpacing() == pytest.approx((1, 1, 3))
    assert pet.GetSpacing() == pytest.approx((4, 4, 3.3))
    for name in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(label, name)() == getattr(ct, name)()
    assert set(np.unique(array(label))) == {0, 1}
    extents = [np.multiply(image.GetSize(), image.GetSpacing()) for image in (ct, pet)]
    assert (extents[1] > extents[0] + 20).all()
    assert not np.allclose(ct.GetOrigin(), pet.GetOrigin(), atol=4)
    assert array(ct).min() >= -1024
    assert array(pet).min() >= 0
    assert np.isfinite(array(pet)).all()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_box_is_144_mm_wide_inside_both_images_and_holds_the_tumour(
    cohort: dict[str, dict[str, sitk.Image]], subject: str
) -> None:
    box = np.array(bounding_box(subject, seed=3)).reshape(3, 2)
    assert (box[:, 1] - box[:, 0] == 144).all()
    for key in ("CT", "PET"):
        image = cohort[subject][key]
        low = np.array(image.GetOrigin()) - np.array(image.GetSpacing()) / 2
        assert (box[:, 0] >= low).all()
        assert (box[:, 1] <= low + np.multiply(image.GetSize(), image.GetSpacing())).all()
    label = cohort[subject]["label"]
    voxels = np.argwhere(array(label))[:, ::-1]
    places = np.array(label.GetOrigin()) + voxels * np.array(label.GetSpacing())
    assert (places > box[:, 0]).all()
    assert (places < box[:, 1]).all()


def test_tumours_range_from_small_to_large(cohort: dict[str, dict[str, sitk.Image]]) -> None:
    volumes = [volume_ml(images["label"]) for images in cohort.values()]
    assert min(volumes) > 2
    assert max(volumes) < 70
    assert max(volumes) > 2.5 * min(volumes)


def test_spacing_samples_the_same_patient_more_or_less_finely(cohort: dict[str, dict[str, sitk.Image]]) -> None:
    fine = simulate_head_neck("P0", seed=3)["label"]
    assert volume_ml(fine) == pytest.approx(volume_ml(cohort["P0"]["label"]), rel=0.1)
    coarse = array(sitk.Resample(cohort["P0"]["label"], fine, sitk.Transform(), sitk.sitkNearestNeighbor)) > 0
    both = (coarse & (array(fine) > 0)).sum()
    assert 2 * both / (coarse.sum() + array(fine).sum()) > 0.85


def test_tissues_have_their_ct_numbers_and_uptakes(cohort: dict[str, dict[str, sitk.Image]]) -> None:
    for images in cohort.values():
        ct, pet, _ = on_ct(images)
        body = ct > -300
        # Peaks of the histogram over the body: fat and soft tissue, as in any CT.
        smooth = ndimage.gaussian_filter(ct.astype(np.float32), 1.0)[body]
        counts, edges = np.histogram(smooth, np.arange(-200, 201, 10))
        middle = (edges[1:] + edges[:-1]) / 2
        fat, soft = middle < -40, middle > 0
        assert -125 <= middle[fat][counts[fat].argmax()] <= -75
        assert 25 <= middle[soft][counts[soft].argmax()] <= 75
        assert 0.02 < (ct > 250).sum() / body.sum() < 0.2  # bone and teeth
        assert -1010 < np.median(ct[~body]) < -980  # air around and inside
        assert pet[~ndimage.binary_dilation(body, iterations=6)].mean() < 0.1
        assert 0.3 < np.median(pet[body]) < 1.5


def test_an_airway_runs_up_to_the_tumour(cohort: dict[str, dict[str, sitk.Image]]) -> None:
    for images in cohort.values():
        ct, _, label = on_ct(images)
        for z in np.flatnonzero(label.any((1, 2)))[::3]:
            inside = ndimage.binary_fill_holes(ct[z] > -400) & (ct[z] < -400)
            if inside.sum() > 10:
                break
        else:
            pytest.fail("no air inside the body in any slice of the tumour")


def test_the_tumour_stands_out_in_pet_and_hardly_in_ct(cohort: dict[str, dict[str, sitk.Image]]) -> None:
    for images in cohort.values():
        ct, pet, label = on_ct(images)
        near = ndimage.binary_dilation(label, iterations=6) & ~ndimage.binary_dilation(label, iterations=1)
        near &= (ct > -200) & (ct < 200)

        def contrast(volume: np.ndarray, inside: np.ndarray = label, around: np.ndarray = near) -> float:
            return float((volume[inside].mean() - volume[around].mean()) / volume[around].std())

        assert contrast(pet) > contrast(ct) + 0.5
        assert -1 < contrast(ct) < 1.5
        assert pet[label].max() > 3 * np.median(pet[near])


def test_not_all_that_is_hot_is_tumour(cohort: dict[str, dict[str, sitk.Image]]) -> None:
    """No threshold on PET finds the tumour: somewhere else in the field of view it is as hot."""
    overlaps = []
    for images in cohort.values():
        _, pet, label = on_ct(images)
        half = pet[label].max() / 2
        away = ~ndimage.binary_dilation(label, iterations=5)
        assert pet[away].max() > half
        hot = pet > half
        overlaps.append(2 * (hot & label).sum() / (hot.sum() + label.sum()))
    assert np.mean(overlaps) < 0.6


def test_noise_is_a_choice(cohort: dict[str, dict[str, sitk.Image]]) -> None:
    clean = simulate_head_neck("P0", seed=3, noise=0, **COARSE)
    np.testing.assert_array_equal(array(clean["label"]), array(cohort["P0"]["label"]))
    for key in ("CT", "PET"):
        rough = [np.abs(np.diff(array(images[key]).astype(float), axis=2)).mean() for images in (clean, cohort["P0"])]
        assert rough[0] < 0.8 * rough[1]

"""Largest components and holes: by hand, and against SimpleITK's and MONAI's."""

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from mcd.errors import McdError
from mcd.prediction.postprocess import PostProcessing, largest_component


def drawn(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros((8, 9, 10), bool)
    for box in boxes:
        mask[box] = True
    return mask


SMALL, LARGE = np.s_[0:2, 0:2, 0:2], np.s_[4:7, 4:8, 4:8]


def test_the_largest_component_is_kept_alone() -> None:
    np.testing.assert_array_equal(largest_component(drawn(SMALL, LARGE)), drawn(LARGE))
    touching = drawn(np.s_[0:4, 0:4, 0:4], LARGE)  # by one corner
    np.testing.assert_array_equal(largest_component(touching), touching)
    np.testing.assert_array_equal(largest_component(drawn()), drawn())


def test_a_hole_is_filled_and_a_bay_is_not() -> None:
    hollow = drawn(LARGE)
    hollow[5, 5, 5] = False
    bay = hollow.copy()
    bay[6, 5, 5] = False  # open to the outside along z, though closed in each slice
    after = PostProcessing(fill_holes=["a", "b"])
    found = after.apply({"a": hollow, "b": bay, "c": hollow})
    np.testing.assert_array_equal(found["a"], drawn(LARGE))
    np.testing.assert_array_equal(found["b"], bay)
    np.testing.assert_array_equal(found["c"], hollow)


def test_holes_are_filled_in_what_is_kept() -> None:
    shell = drawn(LARGE)
    shell[5, 5:7, 5:7] = False
    alike = drawn(LARGE, np.s_[0:3, 0:3, 0:4])  # 36 voxels: more than the shell of 44 has only once it is filled
    both = PostProcessing(["a"], ["a"])
    np.testing.assert_array_equal(both.apply({"a": shell | alike & ~drawn(LARGE)})["a"], drawn(LARGE))
    assert both.sentence() == "Largest component alone: a. Holes filled: a."
    assert not PostProcessing()


def test_it_is_what_simpleitk_and_monai_do() -> None:
    fill: Any = pytest.importorskip("monai.transforms").FillHoles(connectivity=1)  # through faces
    rng = np.random.default_rng(0)
    for share in (0.05, 0.1, 0.7, 0.9):
        mask = rng.random((12, 14, 16)) < share
        components = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), True)
        largest = sitk.GetArrayFromImage(sitk.RelabelComponent(components, sortByObjectSize=True)) == 1
        np.testing.assert_array_equal(largest_component(mask), largest)
        ours = PostProcessing(fill_holes=["a"]).apply({"a": mask})["a"]
        np.testing.assert_array_equal(ours, np.asarray(fill(torch.from_numpy(mask)[None].to(torch.uint8))[0]) > 0)
        assert (ours != mask).any() == (share > 0.5)


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(McdError, match="region C: the models predict A, B; name one of theirs"):
        PostProcessing(["A"], ["C"]).check(["A", "B"])

"""The box of a head-and-neck patient is found where the organisers' rule puts it, in any unit, and not without a brain."""

from pathlib import Path

import numpy as np
import pytest

from mcd.cli import main
from mcd.cohorts import samplesheet
from mcd.cohorts.head_box import SIDE, head_box
from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.write_volume import write_volume
from mcd.simulation.head_neck.drawing import simulate_head_neck
from mcd.subject import Subject

BRAIN = np.array([10.0, -20.0, 300.0])  # middle, mm
RADII = np.array([65.0, 80.0, 60.0])


def pet(
    path: Path, factor: float = 1.0, brain: bool = True, flipped: bool = False, low: float = -600.0, top: float = 380.0
) -> Subject:
    """A body at 1, a brain at 8, below it a small tumour at 15 and a bladder at 40; the field of view is `low` to `top`."""
    size = (60, 60, round((top - low) / 5))
    grid = Grid(size, (5.0, 5.0, 5.0), (-140.0, -170.0, low), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    z, y, x = np.meshgrid(*(np.arange(side) * 5.0 for side in size[::-1]), indexing="ij")
    x, y, z = x - 140, y - 170, z + low

    def ball(middle: np.ndarray, radii: np.ndarray) -> np.ndarray:
        return ((x - middle[0]) / radii[0]) ** 2 + ((y - middle[1]) / radii[1]) ** 2 + (
            (z - middle[2]) / radii[2]
        ) ** 2 < 1

    values = np.where((x / 120) ** 2 + ((y + 20) / 90) ** 2 < 1, 1.0, 0.0)
    if brain:
        values[ball(BRAIN, RADII)] = 8
    values[ball(BRAIN - [0, 20, 120], np.array([12.0, 12, 12]))] = 15
    values[ball(np.array([0.0, -20, -500]), np.array([40.0, 40, 40]))] = 40
    image = grid.image((values * factor).astype(np.float32))
    if flipped:  # as NIfTI from a scanner that counts to the right and to the front
        image = image[::-1, ::-1]
    write_volume(image, path)
    return Subject("p", {"PET": path})


@pytest.mark.parametrize(("factor", "flipped"), [(1.0, False), (2500.0, False), (1.0, True)])
def test_the_box_follows_the_brain(tmp_path: Path, factor: float, flipped: bool) -> None:
    box = head_box(pet(tmp_path / "pet.nii.gz", factor, flipped=flipped))
    assert box is not None
    low, high = np.array(box[::2]), np.array(box[1::2])
    np.testing.assert_allclose(high - low, SIDE)
    np.testing.assert_allclose((low + high)[:2] / 2, BRAIN[:2] - [0, 30], atol=8)
    assert high[2] == pytest.approx(BRAIN[2] - RADII[2] + 30, abs=12)  # the brain's lowest point, half blurred away


def test_a_box_stays_within_the_field_of_view(tmp_path: Path) -> None:
    box = head_box(pet(tmp_path / "pet.nii.gz", low=180.0))
    assert box is not None
    assert box[4] == pytest.approx(180, abs=5)


def test_no_brain_is_no_box(tmp_path: Path) -> None:
    assert head_box(pet(tmp_path / "pet.nii.gz", brain=False, top=230.0, low=100.0)) is None
    with pytest.raises(McdError, match="no PET, so no box can be found"):
        head_box(Subject("p", {"CT": tmp_path / "pet.nii.gz"}))


def test_boxes_of_a_folder_of_ones_own_are_found_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a1", "a2"):
        folder = tmp_path / "scans" / name
        folder.mkdir(parents=True)
        pet(folder / "pet.nii.gz", 1.01 if name == "a1" else 2.02)
        write_volume(
            Grid((8, 8, 8), (9.0, 9.0, 9.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1)).empty_image(),
            folder / "seg.nii.gz",
        )
    assert main(["init-cohort", str(tmp_path / "scans"), "--output", str(tmp_path / "mine"), "--head-box"]) == 0
    shown = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("box"))
    header, row, _ = ((tmp_path / "mine.tsv").read_text()).splitlines()
    box = row.split("\t")[header.split("\t").index("box")]
    assert box in shown
    assert samplesheet.subjects(tmp_path / "mine.tsv", ["PET"], root=tmp_path / "scans")[0].box == tuple(
        map(float, box.split())
    )
    # boxes of 144 mm at the files' 5 mm are 29 voxels, and a crop has a multiple of 16
    assert "size: [32, 32]" in (tmp_path / "mine.yaml").read_text()


@pytest.mark.parametrize("name", ["SIM0001", "SIM0004"])
def test_the_tumour_of_a_simulated_patient_lies_in_the_box(tmp_path: Path, name: str) -> None:
    images = simulate_head_neck(name, seed=0, noise=1.0, spacing={"CT": (4.0, 4.0, 4.0)})
    write_volume(images["PET"], tmp_path / "pet.nii.gz")
    box = head_box(Subject(name, {"PET": tmp_path / "pet.nii.gz"}))
    assert box is not None
    tumour = Grid.of(images["label"]).world(np.argwhere(array_of(images["label"]) > 0)[:, ::-1].astype(float))
    assert len(tumour) > 10
    assert ((tumour >= np.array(box[::2])) & (tumour <= np.array(box[1::2]))).all()

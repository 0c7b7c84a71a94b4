"""Simulated cohorts: listed before there is a file as they are found afterwards, without an image library."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from mcd.cohorts import LAYOUTS, brats2018, find_layout, simulated_layouts
from mcd.cohorts.find import find_subjects
from mcd.cohorts.layout import Layout, Simulator
from mcd.cohorts.simulated import patient_files, simulated_subjects, simulator_of, write_cohort_file, write_patient
from mcd.config import load_config
from mcd.errors import McdError
from mcd.simulation.head_neck.patient import bounding_box
from mcd.subject import Subject


def test_which_layouts_can_be_simulated() -> None:
    assert simulated_layouts() == ["brats2018", "hecktor2020"]
    assert set(simulated_layouts()) < set(LAYOUTS)


@pytest.mark.parametrize("layout", simulated_layouts())
def test_patients_are_listed_as_their_layout_finds_them(layout: str, tmp_path: Path) -> None:
    """Boxes too, which HECKTOR's layout reads from its CSV."""
    modalities = find_layout(layout).modalities[::-1][:2]
    listed = simulated_subjects(layout, tmp_path, modalities, 3, seed=7)
    for subject in listed:
        for path in map(Path, patient_files(layout, tmp_path, subject.id).values()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for name in simulator_of(layout).cohort_files:
        write_cohort_file(layout, name, listed, tmp_path / name)
    assert find_subjects(layout, tmp_path, None, modalities) == listed
    assert [subject.id for subject in listed] == ["SIM0001", "SIM0002", "SIM0003"]


def test_the_box_is_the_simulations() -> None:
    one, two = simulated_subjects("hecktor2020", "raw", ["CT"], 2, seed=3)
    assert one.box == bounding_box("SIM0001", seed=3) != two.box
    assert simulated_subjects("brats2018", "raw", ["T1"], 1, seed=3)[0].box is None


def test_listing_patients_loads_no_image_library() -> None:
    """The workflow lists them each time it is read."""
    code = (
        "import sys\n"
        "for name in ('SimpleITK', 'scipy', 'nibabel', 'nilearn', 'torch', 'matplotlib'): sys.modules[name] = None\n"
        "from mcd.cohorts import find_layout, simulated_layouts\n"
        "from mcd.cohorts.simulated import simulated_subjects\n"
        "for name in simulated_layouts():\n"
        "    simulated_subjects(name, 'raw', find_layout(name).modalities, 2, seed=0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("layout", "spacing"), [("brats2018", {"MR": (6, 6, 6)}), ("hecktor2020", {"CT": (6, 6, 6), "PET": (6, 6, 6)})]
)
def test_a_patient_is_written_whole_at_the_spacing_of_each_scanner(
    layout: str, spacing: dict[str, Any], tmp_path: Path
) -> None:
    files = patient_files(layout, tmp_path, "SIM0001")
    write_patient(layout, files, "SIM0001", seed=0, noise=1.0, spacing=spacing)
    assert set(spacing) == set(simulator_of(layout).scanners)
    assert set(files) == {*find_layout(layout).modalities, "label"}
    for path in files.values():
        assert sitk.ReadImage(path).GetSpacing() == (6, 6, 6)


def draw_flat(subject: str, *, seed: int, noise: float, spacing: dict[str, tuple[float, ...]]) -> dict[str, sitk.Image]:
    images = {name: sitk.Image([4, 4, 4], sitk.sitkInt16) + seed for name in ("US", "label")}
    for image in images.values():
        image.SetSpacing(spacing["probe"])
    return images


def flat_files(folder: Path, subject: str) -> Subject:
    return Subject(subject, {"US": folder / f"{subject}-us.nii.gz"}, label=folder / f"{subject}-label.nii.gz")


FLAT = Layout(
    brats2018.subjects, ("US",), simulator=Simulator(flat_files, f"{__name__}:draw_flat", scanners=("probe",))
)


def test_a_simulator_is_all_that_a_simulated_layout_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYOUTS, "flat", f"{__name__}:FLAT")
    cohort = {
        "layout": "flat",
        "simulate": {"subjects": 2, "spacing": {"probe": [2, 2, 3]}},
        "modalities": ["US"],
        "regions": {"cyst": [1]},
        "preprocessing": {"size": [16, 16]},
    }
    settings = load_config({"cohorts": {"mine": cohort}}).cohorts["mine"].simulate
    assert settings
    cohort["simulate"] = {"subjects": 2, "spacing": {"MR": [2, 2, 3]}}
    with pytest.raises(McdError, match=r"simulate\.spacing: MR is not a scanner of flat"):
        load_config({"cohorts": {"mine": cohort}})
    assert patient_files("flat", "data/{cohort}", "{subject}") == {
        "US": "data/{cohort}/{subject}-us.nii.gz",
        "label": "data/{cohort}/{subject}-label.nii.gz",
    }
    one, _ = simulated_subjects("flat", tmp_path, ["US"], 2, seed=3)
    write_patient("flat", patient_files("flat", tmp_path, one.id), one.id, seed=3, noise=1, spacing=settings.spacing)
    image = sitk.ReadImage(one.images["US"])
    assert (image.GetSpacing(), image[0, 0, 0]) == ((2, 2, 3), 3)

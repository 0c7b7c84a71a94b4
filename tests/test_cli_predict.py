"""`mcd predict`: what it writes, what it says, and that nothing of a header gets out but into the DICOM SEG."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from mcd.cli import main
from mcd.cli.predict import by_modality
from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_volume
from mcd.models.unet import UNet
from mcd.training.checkpoint import Checkpoint, save_checkpoint

GRID = Grid((36, 30, 12), (2.0, 2.0, 4.0), (5.0, 6.0, 7.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A network a modality, of random weights, and a patient whose header names her."""
    rng = np.random.default_rng(0)
    found = {}
    for seed, modality in enumerate(("CT", "PET")):
        torch.manual_seed(seed)
        unet = UNet(2, out_channels=1).eval()
        with torch.no_grad():  # neither yes nor no everywhere
            unet.output.bias -= unet(torch.randn(2, 1, 48, 48)).median()
        description = {
            "filters": 2,
            "regions": {"GTV": [1]},
            "modality": modality,
            "method": "multi_condos",
            "label_ratio": 0.1,
            "seed": 0,
            "cohort_title": "HECKTOR",
            "simulated": True,
            "preprocessing": {"size": [48, 48], "spacing": [2.0, 2.0, 4.0], "statistics_region": "all"},
            "masked": False,
            "boxed": True,
            "raw_spacing": [[1.0, 1.0, 3.0], [2.0, 2.0, 4.0]],
            "raw_intensity": {"p_low": [-3.0, -2.0], "p_high": [2.0, 3.0]},
        }
        found[modality] = tmp_path / f"{modality}.pt"
        save_checkpoint(Checkpoint("segmentation", description, {"network": unet.state_dict()}), found[modality])
        image = GRID.image(rng.normal(size=GRID.shape).astype(np.float32) * (1 if modality == "CT" else 9))
        image.SetMetaData("descrip", "Doe Jane")
        found[f"{modality} image"] = tmp_path / f"{modality}.nii.gz"
        sitk.WriteImage(image, str(found[f"{modality} image"]))
    return found


def test_two_modalities(files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out/case.nii.gz"
    arguments = ["--model", str(files["CT"]), "--model", str(files["PET"]), "--probabilities", "--fuse", "staple"]
    arguments += ["--image", f"PET={files['PET image']}", "--image", f"CT={files['CT image']}"]
    assert main(["predict", *arguments, "--output", str(output), "--device", "cpu"]) == 0
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "case.nii.gz",
        "case.pdf",
        "case.png",
        "case_GTV.nii.gz",
    ]
    label, probability = read_volume(output), read_volume(output.parent / "case_GTV.nii.gz")
    for image in (label, probability):
        for ours, theirs in zip(Grid.of(image).to_json().values(), GRID.to_json().values(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert label.GetPixelIDTypeAsString() == "8-bit unsigned integer"
    assert probability.GetPixelIDTypeAsString() == "32-bit float"
    np.testing.assert_array_equal(array_of(label), array_of(probability) >= 0.5)
    printed = capsys.readouterr()
    assert f"GTV: {array_of(label).sum() * GRID.voxel_ml:.2f} ml" in printed.out
    assert "CT: Multi-ConDoS, trained on 10 % of the labels of HECKTOR, simulated patients, seed 0." in printed.out
    assert "Fused: STAPLE." in printed.out
    assert "warning: PET: intensities from" in printed.err
    assert "warning: CT" not in printed.err
    assert "warning: no box" in printed.err
    for path in output.parent.iterdir():
        assert b"Jane" not in path.read_bytes()
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(output))
    reader.ReadImageInformation()
    assert "Jane" not in "".join(reader.GetMetaData(key) for key in reader.GetMetaDataKeys())


def test_one_modality_is_enough(files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", str(files["CT"]), "--model", str(files["PET"]), "--image", str(files["CT image"])]
    box = ["--box", "-60", "0", "-50", "0", "7", "40"]
    assert main(["predict", *arguments, *box, "--output", str(tmp_path / "case.nii"), "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert f"warning: {files['PET']}: no PET image is given, so it is left out" in printed.err
    assert "no box" not in printed.err
    assert "PET" not in printed.out


def test_a_dicom_folder_gives_a_seg_with_the_niftis_voxels(
    files: dict[str, Path], real_patients: Path, tmp_path: Path
) -> None:
    highdicom = pytest.importorskip("highdicom")
    series = real_patients / "sarcoma_pet_ct/STS_001/PET/dicom"
    assert (
        main(["predict", "--model", str(files["PET"]), "--image", str(series), "--output", str(tmp_path / "a.nii.gz")])
        == 0
    )
    label = array_of(read_volume(tmp_path / "a.nii.gz")) > 0
    assert label.any()
    seg = highdicom.seg.segread(tmp_path / "a.dcm")
    volume = seg.get_volume(combine_segments=False)
    assert volume.array.sum() == label.sum()
    assert sorted(volume.array.sum(axis=(1, 2, 3))) == sorted(count for count in label.sum(axis=(1, 2)) if count)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--image", "{CT image}", "--output", "a.png"],
            "--output a.png: not a NIfTI file; name one that ends in .nii.gz or .nii",
        ),
        (["--image", "MR={CT image}"], "--image MR={CT image}: the models are for CT, not for MR"),
        (["--image", "{CT image}", "--image", "x.nii"], "--image x.nii: there is no model for it; give one by --model"),
        (["--image", "{CT image}", "--image", "CT=x.nii"], "--image CT=x.nii: there is a CT image already"),
        (["--image", "CT=nowhere.nii"], "nowhere.nii: no such file or folder; correct the path"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {name: str(path) for name, path in files.items()}
    given = [argument.format(**names) for argument in arguments]
    output = [] if "--output" in given else ["--output", str(tmp_path / "a.nii.gz")]
    assert main(["predict", "--model", names["CT"], *given, *output]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message.format(**names)}")
    assert error.count("\n") == 1


def test_a_model_of_an_older_version_says_so(files: dict[str, Path], tmp_path: Path) -> None:
    old = Checkpoint(
        "segmentation",
        {"filters": 2, "regions": {"GTV": [1]}, "modality": "CT"},
        {"network": UNet(2).state_dict()},
    )
    save_checkpoint(old, tmp_path / "old.pt")
    arguments = ["--model", str(tmp_path / "old.pt"), "--image", str(files["CT image"])]
    assert main(["predict", *arguments, "--output", str(tmp_path / "a.nii")]) == 1


def test_images_find_their_models() -> None:
    assert list(by_modality(["PET=p", "c"], ["CT", "PET"]).items()) == [("PET", Path("p")), ("CT", Path("c"))]
    assert by_modality(["c", "p"], ["CT", "PET"]) == {"CT": Path("c"), "PET": Path("p")}
    assert by_modality(["c"], ["CT", "CT"]) == {"CT": Path("c")}  # two networks of one modality are fused, too
    with pytest.raises(McdError, match="no model for it"):
        by_modality(["c", "d"], ["CT", "CT"])

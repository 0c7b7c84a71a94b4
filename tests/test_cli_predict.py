"""`mcd predict`: what it writes, what it says, and that nothing of a header gets out but into the DICOM SEG."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

from mcd.cli import main
from mcd.cli.predict import SUMMARY, by_modality
from mcd.csv_files import read_csv
from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of, to_raw_grid
from mcd.imaging.io import read_volume
from mcd.models.unet import UNet
from mcd.prediction.patient import load_models, predict_patient
from mcd.prediction.postprocess import PostProcessing, largest_component
from mcd.prediction.slices import load_network
from mcd.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mcd.training.schedule import Compute

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


def test_a_dicom_folder_gives_a_seg_with_the_niftis_voxels_or_nothing(
    files: dict[str, Path], real_patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    before = {path.name: path.read_bytes() for path in tmp_path.glob("a.*")}
    assert set(before) == {"a.nii.gz", "a.dcm", "a.png", "a.pdf"}

    def broken(*_: object) -> None:
        raise McdError("no SEG; no remedy")

    monkeypatch.setattr("mcd.imaging.dicom_seg.write_seg", broken)
    arguments = ["predict", "--model", str(files["PET"]), "--image", str(series), "--probabilities", "--output"]
    for output in ("a.nii.gz", "b.nii.gz"):  # one that replaces earlier files, and a new one
        assert main([*arguments, str(tmp_path / output)]) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.glob("[ab].*")} == before
    assert main([*arguments, str(tmp_path / "b.nii.gz"), "--no-seg"]) == 0
    assert not (tmp_path / "b.dcm").exists()


@pytest.fixture
def folder(files: dict[str, Path], tmp_path: Path) -> Path:
    """Three patients: one with both images, one with a CT alone, one whose CT is damaged."""
    for name, modalities in {"p1": ["CT", "PET"], "p2": ["CT"], "p3": ["PET"]}.items():
        (tmp_path / "patients" / name).mkdir(parents=True)
        for modality in modalities:
            content = files[f"{modality} image"].read_bytes()
            (tmp_path / "patients" / name / f"{modality.lower()}.nii.gz").write_bytes(content)
    (tmp_path / "patients/p3/ct.nii.gz").write_bytes(content[:100])
    return tmp_path / "patients"


@pytest.fixture
def scattered(files: dict[str, Path], tmp_path: Path) -> Path:
    """A model of a CT that finds many small components."""
    checkpoint = load_checkpoint(files["CT"])
    state = checkpoint.weights["network"]
    unet = UNet(2).eval()
    unet.load_state_dict(state)
    with torch.no_grad():
        state["output.bias"] -= unet(torch.randn(2, 1, 48, 48)).quantile(0.97)
    save_checkpoint(checkpoint, tmp_path / "scattered.pt")
    return tmp_path / "scattered.pt"


def both_models(files: dict[str, Path]) -> list[str]:
    return ["predict", "--model", str(files["CT"]), "--model", str(files["PET"]), "--device", "cpu"]


def test_a_folder_of_patients(
    files: dict[str, Path], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are written where one fails, each like alone, and the summary says of all."""
    output = tmp_path / "out"
    assert main([*both_models(files), "--patients", str(folder), "--output", str(output)]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{output}: 2 patients written, 2 of them with warnings ({SUMMARY})\n".replace("(", "(in ")
    *_, failure, last = printed.err.splitlines()
    assert failure.startswith(f"p3: {folder}/p3/ct.nii.gz: not a readable volume")
    assert last.startswith(f"error: {folder}: 1 of 3 patients were not segmented (above); ")
    assert "patient/s" not in printed.err  # a bar is for a terminal
    written = {f"{name}.{suffix}" for name in ("p1", "p2") for suffix in ("nii.gz", "png", "pdf")}
    assert {path.name for path in output.iterdir()} == written | {SUMMARY}
    table = pd.read_csv(read_csv(output / SUMMARY), keep_default_na=False).set_index("patient")
    assert list(table.index) == ["p1", "p2", "p3"]
    assert list(table["modalities"]) == ["CT PET", "CT", "CT PET"]
    assert "intensities from" in table.loc["p1", "warnings"]
    assert f"{files['PET']}: no PET image is given, so it is left out; no box" in table.loc["p2", "warnings"]
    assert (table.loc["p3", "GTV_ml"], table.loc["p1", "error"]) == ("", "")
    assert "not a readable volume" in table.loc["p3", "error"]
    for name, images in {"p1": ["CT image", "PET image"], "p2": ["CT image"]}.items():
        alone = [option for image in images for option in ("--image", str(files[image]))]
        assert main([*both_models(files), *alone, "--output", str(tmp_path / f"{name}.nii.gz")]) == 0
        assert (tmp_path / f"{name}.nii.gz").read_bytes() == (output / f"{name}.nii.gz").read_bytes()
        label = array_of(read_volume(output / f"{name}.nii.gz"))
        assert float(table.loc[name, "GTV_ml"]) == pytest.approx(label.sum() * GRID.voxel_ml, rel=1e-5)


def test_models_are_loaded_once_and_a_mistake_of_ours_costs_one_patient(
    files: dict[str, Path],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mcd.prediction import patient
    from mcd.reporting.figures import prediction_sheet

    loaded = []
    draw = prediction_sheet.draw_prediction

    def load(*given: Any) -> Any:
        loaded.append(given)
        return load_network(*given)

    monkeypatch.setattr(patient, "load_network", load)

    def fails_once(*given: Any) -> None:
        if given[3] == "p1":
            raise ValueError("of ours")
        draw(*given)

    monkeypatch.setattr(prediction_sheet, "draw_prediction", fails_once)
    output = tmp_path / "out"
    assert main([*both_models(files), "--patients", str(folder), "--output", str(output)]) == 1
    assert len(loaded) == 2
    assert {path.name for path in output.iterdir()} == {"p2.nii.gz", "p2.png", "p2.pdf", SUMMARY}
    errors = capsys.readouterr().err
    assert "p1: ValueError: of ours" in errors
    assert "2 of 3 patients were not segmented" in errors


def test_a_sheet_of_patients(files: dict[str, Path], scattered: Path, tmp_path: Path) -> None:
    rows = ["subject\tCT\tbox", f"a\t{files['CT image']}\t-60 0 -50 0 7 40", f"b\t{files['CT image']}\t"]
    (tmp_path / "sheet.tsv").write_text("\n".join(rows) + "\n")
    arguments = ["predict", "--model", str(scattered), "--patients", str(tmp_path / "sheet.tsv"), "--device", "cpu"]
    assert main([*arguments, "--output", str(tmp_path / "out"), "--largest-component", "--fill-holes", "GTV"]) == 0
    table = pd.read_csv(read_csv(tmp_path / "out" / SUMMARY), keep_default_na=False).set_index("patient")
    assert "no box" in table.loc["b", "warnings"]
    assert "no box" not in table.loc["a", "warnings"]
    assert list(table["largest_component"]) == list(table["fill_holes"]) == ["GTV", "GTV"]
    label = sitk.ReadImage(str(tmp_path / "out/b.nii.gz"))
    assert sitk.GetArrayFromImage(sitk.ConnectedComponent(label, True)).max() == 1
    assert main([*arguments, "--output", str(tmp_path / "plain")]) == 0
    plain = sitk.ReadImage(str(tmp_path / "plain/b.nii.gz"))
    assert sitk.GetArrayFromImage(sitk.ConnectedComponent(plain, True)).max() > 1


def test_the_page_shows_what_is_written(files: dict[str, Path], scattered: Path) -> None:
    (model,) = load_models([scattered], Compute(device="cpu"))
    images = {"CT": files["CT image"]}
    after = PostProcessing(["GTV"])
    plain, found = predict_patient([model], images), predict_patient([model], images, after=after)
    np.testing.assert_array_equal(found.masks["GTV"], largest_component(plain.masks["GTV"]))
    np.testing.assert_array_equal(found.probabilities["GTV"], plain.probabilities["GTV"])
    assert found.masks["GTV"].any()
    assert (found.masks["GTV"] != plain.masks["GTV"]).any()
    assert found.seen["GTV"].any()
    back = array_of(to_raw_grid(found.seen["GTV"], found.prepared.grid, found.grid)) > 0
    assert not (back & ~found.masks["GTV"]).any()


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
        (["--image", "{CT image}", "--fill-holes", "TC"], "region TC: the models predict GTV; name one of theirs"),
        ([], "--image: is missing; give a patient's images, or several patients by --patients"),
        (["--patients", "nowhere", "--output", "out"], "--patients nowhere: no such sheet or folder; correct the path"),
        (["--patients", "{CT}", "--image", "{CT image}", "--output", "out"], "--image: the sheet {CT} has them"),
        (
            ["--patients", "{CT}", *["--box", *"010101"], "--output", "out"],
            "--box: is one patient's; give those of several in the column box of a sheet",
        ),
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

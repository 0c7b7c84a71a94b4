"""New patients: the way to the network and back, what is carried in a checkpoint, and what is warned of."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import Tensor, nn

from mcd.errors import McdError
from mcd.evaluation.overlap import dsc
from mcd.imaging.alike import anatomical_spacing
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_volume
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import preprocess_subject, read_preprocessed, write_preprocessed
from mcd.imaging.write_volume import write_volume
from mcd.prediction.masks import region_codes
from mcd.prediction.origin import summary_line, unlike_training
from mcd.prediction.patient import Model, PatientPrediction, load_models, predict_patient
from mcd.prediction.raw_grid import export_predictions
from mcd.prediction.run import predict_test
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.slices.options import Augmentation
from mcd.slices.preparation import training_data
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, write_split
from mcd.slices.write_shards import write_shard
from mcd.subject import Subject
from mcd.testing.cohort import TinyCohort
from mcd.training.schedule import Compute, Schedule

CPU = Compute(device="cpu")
OBLIQUE = sitk.Euler3DTransform((0, 0, 0), 0.25, -0.15, 0.4).GetMatrix()
SAGITTAL = (0, 0, 1, 1, 0, 0, 0, -1, 0)  # columns: voxel axes go to y, -z, x
FLIPPED = (-1, 0, 0, 0, -1, 0, 0, 0, -1)
FLIPPED_OBLIQUE = tuple(np.ravel(np.reshape(OBLIQUE, (3, 3)) @ np.diag([-1, 1, -1])))

GRIDS = {
    "isotropic": Grid((40, 44, 36), (2.0, 2.0, 2.0), (10.0, -20.0, 30.0), (1, 0, 0, 0, 1, 0, 0, 0, 1)),
    "anisotropic": Grid((60, 52, 14), (1.2, 1.5, 6.0), (-33.0, 12.0, -800.0), (1, 0, 0, 0, 1, 0, 0, 0, 1)),
    "oblique": Grid((48, 44, 20), (1.7, 1.7, 4.0), (5.0, 6.0, 7.0), OBLIQUE),
    "flipped": Grid((40, 44, 24), (2.0, 1.8, 3.5), (90.0, 80.0, 70.0), FLIPPED),
    "sagittal": Grid((44, 40, 24), (1.8, 2.0, 3.5), (0.0, 0.0, 0.0), SAGITTAL),
    "flipped and oblique": Grid((44, 44, 18), (1.7, 1.9, 4.5), (50.0, -60.0, 70.0), FLIPPED_OBLIQUE),
}


def blobs(grid: Grid) -> np.ndarray:
    """Codes 1 inside 2, off the middle and of no symmetry, so that a mirrored axis shows."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.size), indexing="ij"), axis=-1)
    place = index / (np.asarray(grid.size) - 1)
    first = np.sqrt((((place - (0.4, 0.45, 0.4)) / (0.25, 0.16, 0.2)) ** 2).sum(axis=-1))
    second = np.sqrt((((place - (0.62, 0.6, 0.66)) / (0.09, 0.12, 0.14)) ** 2).sum(axis=-1))
    codes = np.where(second < 1, 1, np.where(first < 1, 2, 0)).astype(np.uint8)
    return codes.T


class Reads(nn.Module):
    """A network that finds what the image says: its grey levels are the label's own."""

    def __init__(self, levels: dict[str, tuple[float, float]]) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, images: Tensor) -> Tensor:
        inside = [(images > low) & (images < high) for low, high in self.levels.values()]
        return 40 * torch.cat(inside, dim=1).float() - 20


def reader(description: dict[str, Any], raw: np.ndarray) -> Model:
    """`Reads` for an image of levels 0, 1 (region TC) and 2 (WT is both), after its z-score."""
    zero, one, two = ((level - raw.mean()) / raw.std() for level in (0, 1, 2))
    between = (zero + one) / 2, (one + two) / 2
    return Model(Reads({"WT": (between[0], np.inf), "TC": between}), description)


def description(**options: Any) -> dict[str, Any]:
    return {
        "modality": "A",
        "regions": {"WT": [1, 2], "TC": [1]},
        "preprocessing": PreprocessOptions(**options).model_dump(),
        "masked": False,
        "boxed": False,
        "raw_spacing": [[1.0, 1.0, 1.0], [3.0, 3.0, 6.0]],
        "raw_intensity": {"p_low": [0.0, 0.0], "p_high": [2.0, 2.0]},
    }


FINE = {
    "size": (160, 160),
    "spacing": (0.7, 0.7, 0.7),
    "statistics_region": "all",
    "percentiles": (0, 100),
    "centre": "image",
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_prediction_of_the_label_itself_comes_back(name: str, tmp_path: Path) -> None:
    grid = GRIDS[name]
    label = blobs(grid)
    path = tmp_path / "image.nii.gz"
    write_volume(grid.image(label.astype(np.float32)), path)
    model = reader(description(**FINE), label)
    found = predict_patient([model], {"A": path}, compute=CPU)
    for ours, theirs in zip(found.grid.to_json().values(), grid.to_json().values(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    for region, codes in model.description["regions"].items():
        truth = np.isin(label, codes)
        assert dsc(truth, found.masks[region]) > 0.99
        np.testing.assert_array_equal(found.masks[region], found.probabilities[region] >= 0.5)
        assert found.millilitres[region] == pytest.approx(truth.sum() * grid.voxel_ml, rel=0.01)
    codes = region_codes(model.description["regions"], found.masks)
    assert (codes == label).mean() > 0.999


def test_a_voxel_outside_the_crop_is_background_and_a_box_moves_the_crop(tmp_path: Path) -> None:
    grid = GRIDS["isotropic"]
    label = blobs(grid)
    write_volume(grid.image(label.astype(np.float32)), tmp_path / "a.nii.gz")
    small = description(**{**FINE, "size": (32, 32), "spacing": (1.0, 1.0, 1.0)})
    model = reader(small, label)
    low, high = (grid.world(np.array([corner]))[0] for corner in ((12, 12, 10), (28, 28, 26)))
    box = tuple(float(value) for pair in zip(low, high, strict=True) for value in pair)
    found = predict_patient([model], {"A": tmp_path / "a.nii.gz"}, box=box, compute=CPU)
    assert found.prepared.grid.size == (32, 32, 32)
    inside = np.zeros(grid.shape, bool)
    inside[10:26, 12:28, 12:28] = True
    assert not found.masks["WT"][~inside].any()
    assert found.masks["WT"].any()


@pytest.fixture(scope="module")
def trained(tiny_cohort: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network a modality, by the real fine-tuning."""
    folder = tmp_path_factory.mktemp("trained")
    for modality in tiny_cohort.modalities:
        finetune(
            FinetuningTask(
                modality=modality,
                regions={"WT": [1, 2], "TC": [1]},
                label_ratio=0.5,
                filters=4,
                schedule=Schedule(epochs=2, batch_size=8, learning_rate=1e-2, steps_per_epoch=8),
                augmentation=Augmentation(),
            ),
            shards=tiny_cohort.shards,
            split=tiny_cohort.split,
            output=folder / f"{modality}.pt",
            about={"cohort": "tiny", "cohort_title": "Tiny", "simulated": True, "method": "fully_supervised"},
        )
    return {modality: folder / f"{modality}.pt" for modality in tiny_cohort.modalities}


def test_a_checkpoint_carries_its_training_datas_preparation_and_ranges(
    tiny_cohort: TinyCohort, trained: dict[str, Path]
) -> None:
    (model,) = load_models([trained["B"]], CPU)
    infos = [read_preprocessed(tiny_cohort.folders[name]).info for name in ("p0", "p1", "p2", "p3")]
    about = model.description
    assert about["preprocessing"] == {**infos[0]["options"], "statistics_region": "nonzero"}
    assert PreprocessOptions(**about["preprocessing"]).size == (32, 32)
    assert about["raw_intensity"] == {"p_low": [0.0, 3.0], "p_high": [100.0, 103.0]}  # of the four training patients
    assert about["raw_spacing"] == [[1.0, 1.0, 2.0], [1.0, 1.0, 2.0]]
    assert (about["masked"], about["boxed"], about["simulated"]) == (False, False, True)
    assert summary_line(about) == (
        "B: Fully Supervised, trained on 50 % of the labels of Tiny, simulated patients: 2 patients, seed 0. Not for clinical "
        "use."
    )


@pytest.mark.parametrize(
    ("algorithm", "starts", "said", "sentences"),
    [
        ("supervised", False, ": 1 patient,", {"p0": "its label was given away in training"}),
        (
            "supervised",
            True,
            ": 1 patient, and 2 without labels,",
            {"p0": "its label", **dict.fromkeys(["p1", "p2"], "was pre-trained on it")},
        ),
        (
            "mean_teacher",
            False,
            ": 1 patient, and 2 without labels,",
            {"p0": "its label", **dict.fromkeys(["p1", "p2"], "was trained on it without")},
        ),
    ],
)
def test_a_patient_that_a_network_learned_from_is_known_again(
    tmp_path: Path, algorithm: str, starts: bool, said: str, sentences: dict[str, str]
) -> None:
    """By its voxels: the file has another name and format, and the patient no id. p3 tests."""
    grid = Grid((32, 32, 6), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    folders, files = {}, {}
    options = PreprocessOptions(size=(32, 32), spacing=(1.0, 1.0, 2.0), statistics_region="all")
    for number in range(4):
        volume = np.random.default_rng(number).normal(10, 3, grid.shape).astype(np.float32)
        label = np.zeros(grid.shape, np.uint8)
        label[2:4, 8:20, 8:20] = 1
        write_volume(grid.image(volume), tmp_path / f"p{number}.nii.gz")
        write_volume(grid.image(label), tmp_path / f"label{number}.nii.gz")
        subject = Subject(f"p{number}", {"A": tmp_path / f"p{number}.nii.gz"}, label=tmp_path / f"label{number}.nii.gz")
        folders[subject.id] = tmp_path / subject.id
        write_preprocessed(preprocess_subject(subject, options), folders[subject.id])
        files[subject.id] = tmp_path / f"another{number}.nii"
        write_volume(grid.image(volume), files[subject.id])
    write_shard(tmp_path / "0.h5", folders)
    write_split(Split(train=["p0", "p1", "p2"], test=["p3"]), tmp_path / "split.json")
    inputs: dict[str, Any] = {"shards": [tmp_path / "0.h5"], "split": tmp_path / "split.json", "compute": CPU}
    if starts:
        pretraining: dict[str, Any] = {
            "modalities": ("A",),
            "filters": 2,
            "batch_size": 4,
            "epochs": 1,
            "steps_per_epoch": 1,
        }
        pretrain(PretrainingTask(algorithm="rotation", **pretraining), output=tmp_path / "pretrained.pt", **inputs)
    schedule = Schedule(epochs=1, batch_size=2, steps_per_epoch=1, learning_rate=0.01, warmup_epochs=0)
    task = FinetuningTask(
        algorithm=algorithm, modality="A", regions={"T": [1]}, filters=2, label_ratio=0.3, seed=0, schedule=schedule
    )
    finetune(task, output=tmp_path / "model.pt", pretrained=tmp_path / "pretrained.pt" if starts else None, **inputs)
    models = load_models([tmp_path / "model.pt"], CPU)
    assert said in summary_line(models[0].description)
    for name, path in files.items():
        warnings = [words for words in predict_patient(models, {"A": path}, compute=CPU).warnings if "among" in words]
        assert len(warnings) == (name in sentences), (name, warnings)
        assert sentences.get(name, "") in "".join(warnings)


def patient_files(cohort: TinyCohort, subject: str, folder: Path) -> dict[str, Path]:
    """A subject of the tiny cohort as raw images; their values are z-scores of another scale and offset already."""
    pre = read_preprocessed(cohort.folders[subject])
    files = {}
    for modality, volume in pre.volumes.items():
        files[modality] = folder / f"{modality}.nii.gz"
        raw = np.where(volume != 0, 50 + 20 * volume, 0).astype(np.float32)
        write_volume(pre.grid.image(raw), files[modality])
    return files


def test_a_new_patient_gets_the_very_masks_that_a_test_patient_gets(
    tiny_cohort: TinyCohort, trained: dict[str, Path], tmp_path: Path
) -> None:
    """Through preprocessing, shard, prediction and export, and straight from the raw file. The grids differ by whole voxels."""
    files = patient_files(tiny_cohort, "p4", tmp_path)
    label = tiny_cohort.folders["p4"] / "label.nii.gz"
    models = load_models([trained["A"]], CPU)
    options = PreprocessOptions(**models[0].description["preprocessing"])
    write_preprocessed(preprocess_subject(Subject("p4", files, label=label), options), tmp_path / "p4")
    write_shard(tmp_path / "0.h5", {"p4": tmp_path / "p4"})
    write_split(Split(train=["p0"], test=["p4"]), tmp_path / "split.json")
    predict_test(
        shards=[tmp_path / "0.h5"],
        split=tmp_path / "split.json",
        model=trained["A"],
        predictions=tmp_path / "predictions.h5",
    )
    found = predict_patient(models, {"A": files["A"]}, compute=CPU)
    regions = models[0].description["regions"]
    (exported,) = export_predictions(tmp_path / "predictions.h5", [tmp_path / "0.h5"], "A", regions, tmp_path / "out")
    codes = array_of(read_volume(exported))
    assert codes.any()
    np.testing.assert_array_equal(region_codes(regions, found.masks), codes)


def predict_both(trained: dict[str, Path], files: dict[str, Path], how: str) -> PatientPrediction:
    return predict_patient(load_models(list(trained.values()), CPU), files, how=how, compute=CPU)


def test_two_modalities_are_fused_on_the_first_ones_grid(
    tiny_cohort: TinyCohort, trained: dict[str, Path], tmp_path: Path
) -> None:
    files = patient_files(tiny_cohort, "p5", tmp_path)
    image = read_volume(files["B"])
    write_volume(image[2:30, 2:30, :], files["B"])  # the second image has a grid of its own
    both = predict_both(trained, files, "mean")
    assert both.grid == Grid.of(read_volume(files["A"]))
    models = load_models(list(trained.values()), CPU)
    single = [
        predict_patient([models[0]], {"A": files["A"]}, compute=CPU).probabilities["WT"],
        both.probabilities["WT"],
    ]
    half = 2 * single[1] - single[0]  # what the second network must have said
    assert half.min() > -1e-5
    assert half.max() < 1 + 1e-5
    assert np.abs(half - single[0]).max() > 0.05
    staple = predict_both(trained, files, "staple")
    assert not np.allclose(staple.probabilities["WT"], both.probabilities["WT"])
    assert predict_both(trained, {"B": files["B"]}, "mean").grid == Grid.of(read_volume(files["B"]))  # one is enough


def test_what_does_not_go_together_is_refused(trained: dict[str, Path], tmp_path: Path) -> None:
    models = load_models(list(trained.values()), CPU)
    with pytest.raises(McdError, match="no model for C; the models are for A, B"):
        predict_patient(models, {"C": tmp_path / "c.nii.gz"}, compute=CPU)
    masked = Model(models[0].network, {**models[0].description, "masked": True}, "m.pt")
    with pytest.raises(McdError, match=r"m\.pt: its training patients all had a mask; give this patient's by --mask"):
        predict_patient([masked], {"A": tmp_path / "a.nii.gz"}, compute=CPU)
    for key, value, words in (
        ("regions", {"WT": [1]}, "predicts WT, model WT, TC; fuse models of one kind"),
        ("preprocessing", {**models[1].description["preprocessing"], "size": [16, 16]}, "was trained with size"),
    ):
        other = Model(models[1].network, {**models[1].description, key: value}, "other.pt")
        first = Model(models[0].network, models[0].description)
        with pytest.raises(McdError, match=rf"other\.pt: {words}"):
            predict_patient([first, other], {"A": tmp_path / "a", "B": tmp_path / "b"}, compute=CPU)


def info_of(spacing: tuple[float, float, float], low: float, high: float) -> dict[str, Any]:
    grid = Grid((10, 10, 10), spacing, (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return {"raw_grids": {"A": grid.to_json()}, "statistics": {"A": {"p_low": low, "p_high": high}}}


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (info_of((1.0, 2.0, 3.0), 0.0, 2.0), []),
        (info_of((1.0, 1.0, 8.9), -0.9, 2.9), []),  # a little beyond is another scanner, not another world
        (info_of((1.0, 1.0, 9.1), 0.0, 2.0), ["voxels of 1 × 1 × 9.1 mm; in the training data 1..3 × 1..3 × 1..6"]),
        (info_of((0.6, 1.0, 2.0), 0.0, 2.0), ["voxels of 0.6 × 1 × 2 mm"]),
        (info_of((1.0, 2.0, 3.0), 0.0, 3.1), ["intensities from 0 to 3.1; in the training data from 0 to 2"]),
        (info_of((1.0, 2.0, 3.0), 0.0, 1000.0), ["from 0 to 2: another unit, with a range 500 times as large"]),
        (info_of((1.0, 2.0, 9.9), -1024.0, 2.0), ["voxels of", "intensities from -1024 to 2"]),
    ],
)
def test_an_image_unlike_the_training_data_is_told(info: dict[str, Any], words: list[str]) -> None:
    found = unlike_training(description(size=(32, 32)), info)
    assert len(found) == len(words)
    for sentence, part in zip(found, words, strict=True):
        assert part in sentence


def test_spacing_is_compared_along_the_body_whatever_the_storage_order() -> None:
    assert anatomical_spacing(GRIDS["sagittal"].to_json()) == [3.5, 1.8, 2.0]
    assert anatomical_spacing(GRIDS["flipped and oblique"].to_json()) == [1.7, 1.9, 4.5]


def test_subjects_that_were_not_prepared_alike_are_refused(
    tiny_cohort: TinyCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Shards(tiny_cohort.shards) as shards:
        infos = {name: subject.info for name, subject in shards.subjects.items()}
        infos["p1"]["options"]["size"] = [64, 64]
        monkeypatch.setattr(shards, "info", lambda subject: infos[subject.id])
        with pytest.raises(McdError, match="p1 was preprocessed with other options than p0"):
            training_data(shards, ["p0", "p1"], "A")


def test_a_real_label_comes_back(real_patients: Path, tmp_path: Path) -> None:
    """The tumour contour of a patient with a sarcoma as the image: 0.98 x 0.98 x 3.27 mm through 1 mm and back."""
    path = real_patients / "sarcoma_pet_ct/STS_001/CT/mask.nii.gz"
    label = array_of(read_volume(path))
    about = description(**{**FINE, "size": (208, 208), "spacing": (1.0, 1.0, 1.0)})
    model = Model(Reads({"WT": (0.5, np.inf), "TC": (np.inf, np.inf)}), about)
    found = predict_patient([model], {"A": path}, compute=CPU)
    assert dsc(label > 0, found.masks["WT"]) > 0.99

"""Nothing of a header's text leaves the raw files: planted words are looked for in every file that a run makes.

And no path of a raw file appears in `results/`, which is made to be passed on.
"""

import base64
import gzip
import locale
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from PIL import Image
from snakemake_run import snakemake

from mcd.cli import main
from mcd.errors import McdError
from mcd.imaging.geometry import Grid
from mcd.imaging.io import read_volume

SECRET = "Zxq7Planted"  # in every free text of every header
PLACE = "Zxq7Folder"  # in the path of every raw file
GRID = Grid((24, 24, 12), (5.0, 5.0, 6.0), (-60.0, -60.0, -36.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))

DICOM_TEXT = [
    "0008|0050",
    "0008|0080",
    "0008|0081",
    "0008|0090",
    "0008|1010",
    "0008|1030",
    "0008|103e",
    "0008|1040",
    "0008|1048",
    "0008|1050",
    "0008|1060",
    "0008|1070",
    "0010|0010",
    "0010|0020",
    "0010|1000",
    "0010|1001",
    "0010|1040",
    "0010|2154",
    "0010|21b0",
    "0010|4000",
    "0018|0015",
    "0018|1000",
    "0018|1030",
    "0020|0010",
    "0020|4000",
    "0032|1032",
    "0032|1060",
    "0032|4000",
    "0038|0300",
    "0040|0253",
    "0040|0254",
    "0040|1001",
]
"""Names, ids, addresses, telephone, institution, physicians, descriptions, comments."""


def scan(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(GRID.shape)
    body = (x - 12) ** 2 + (y - 12) ** 2 < 100
    label = (x - 9 - seed) ** 2 + (y - 12) ** 2 + 2 * (z - 6) ** 2 < 14
    a, b = (rng.normal(100, 10, GRID.shape) + gain * label for gain in (60, -50))
    return {"A": (a * body).astype(np.float32), "B": (b * body).astype(np.float32), "label": label.astype(np.uint8)}


def write_dicom(array: np.ndarray, folder: Path, series: str = "1.2.3") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    before = locale.setlocale(locale.LC_ALL)  # which GDCM's writer leaves changed
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, plane in enumerate(np.rint(array).astype(np.int16)):
        image = sitk.GetImageFromArray(plane)
        image.SetSpacing(GRID.spacing[:2])
        place = GRID.world(np.asarray([[0, 0, number]]))[0]
        tags = dict.fromkeys(DICOM_TEXT, SECRET) | {
            "0008|0060": "MR",
            "0008|0018": f"{series}.{number + 1}",
            "0020|000d": "1.2.9",
            "0020|000e": series,
            "0020|0013": str(number),
            "0020|0032": "\\".join(map(str, place)),
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{series}_{number}.dcm"))
        writer.Execute(image)
    locale.setlocale(locale.LC_ALL, before)


def write_nifti(array: np.ndarray, path: Path) -> None:
    affine = np.diag([-1, -1, 1, 1]) @ np.block([[np.diag(GRID.spacing), np.c_[list(GRID.origin)]], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(array.T, affine)
    for key in ("descrip", "aux_file", "db_name", "intent_name"):
        image.header[key] = SECRET.encode()
    image.header["data_type"] = SECRET[:10].encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", f"{SECRET} in an extension".encode()))
    nibabel.save(image, path)


def write_with_text(array: np.ndarray, path: Path) -> None:
    """NRRD or MetaImage with further fields."""
    image = GRID.image(array)
    for key in ("PatientName", "Comment", "descrip"):
        image.SetMetaData(key, SECRET)
    sitk.WriteImage(image, str(path))
    if path.suffix == ".nrrd":
        path.write_bytes(path.read_bytes().replace(b"\n", f"\n# {SECRET} in a comment\n".encode(), 1))
    if path.suffix == ".mha":
        path.write_bytes(path.read_bytes().replace(b"NDims", f"Comment = {SECRET}\nName = {SECRET}\nNDims".encode(), 1))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients in all four formats, a sheet, a configuration."""
    folder = tmp_path_factory.mktemp("raw") / PLACE
    folder.mkdir()
    rows = []
    for number in range(3):
        array, first, second = scan(number), folder / f"{number}_A", folder / f"{number}_B"
        if number % 2:
            write_dicom(array["A"], first)
            second = second.with_suffix(".nii.gz")
            write_nifti(array["B"], second)
        else:
            first, second = first.with_suffix(".nrrd"), second.with_suffix(".mha")
            write_with_text(array["A"], first)
            write_with_text(array["B"], second)
        label = folder / f"{number}_label.nii.gz"
        write_nifti(array["label"], label)
        rows.append(f"p{number}\t{first.name}\t{second.name}\t{label.name}\n")
    (folder / "sheet.tsv").write_text("subject\tA\tB\tlabel\n" + "".join(rows))
    cohort = {
        "layout": "samplesheet",
        "sheet": str(folder / "sheet.tsv"),
        "folder": str(folder),
        "modalities": ["A", "B"],
        "pairs": ["A-B"],
        "regions": {"WT": [1]},
        "preprocessing": {"size": [32, 32], "spacing": [5, 5, 6]},
        "test": 1,
        "batch_size": {"pretraining": 6, "finetuning": {0.5: 4}},
    }
    content = {
        "cohorts": {"own": cohort},
        "methods": ["multi_condos"],
        "label_ratios": [0.5],
        "full_ratios": [],
        "filters": 4,
        "pretraining": {"epochs": 1, "steps_per_epoch": 1},
        "finetuning": {"epochs": 1, "steps_per_epoch": 2, "warmup_epochs": 0},
        "algorithms": {"dsgan": {"discriminator_filters": 4}},
        "compute": {"device": "cpu"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """What a file says: itself, and what is packed in it."""
    data = path.read_bytes()
    yield "bytes", data
    if path.suffix == ".gz":
        yield "unpacked", gzip.decompress(data)
    elif path.suffix == ".h5":
        with h5py.File(path) as file:
            said: list[bytes] = []

            def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
                said.append(f"{name} {dict(item.attrs)!r}".encode())
                if isinstance(item, h5py.Dataset):
                    said.append(item[()].tobytes())

            visit("/", file)
            file.visititems(visit)
        yield "unpacked", b"\n".join(said)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    elif path.suffix == ".png":
        with Image.open(path) as picture:
            picture.load()
            yield "text of the picture", repr(picture.info).encode()
    elif path.suffix == ".html":
        for coded in re.findall(rb"base64,([A-Za-z0-9+/=]+)", data):
            yield "data address", base64.b64decode(coded)


def holders(folder: Path, word: str) -> list[str]:
    """The files below `folder` that hold `word`, in upper or lower case, in one or two bytes a letter."""
    patterns = [re.compile(re.escape(word.encode(code)), re.IGNORECASE) for code in ("utf-8", "utf-16-le")]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    assert files
    return [
        f"{path.relative_to(folder)} ({part})"
        for path in files
        for part, data in contents(path)
        if any(pattern.search(data) for pattern in patterns)
    ]


def test_every_raw_file_has_the_planted_word_and_the_search_finds_it(planted: Path) -> None:
    found = {name.split(" ")[0] for name in holders(planted, SECRET)}
    raw = {str(path.relative_to(planted)) for path in planted.rglob("*") if path.is_file()}
    assert raw - found == {"sheet.tsv", "config.yaml"}
    slice_ = next(planted.glob("1_A/*.dcm")).read_bytes()
    assert slice_.count(SECRET.encode()) >= len(DICOM_TEXT)


def test_the_search_looks_into_every_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"..." + SECRET.lower().encode()))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("x", data=np.frombuffer(SECRET.encode() * 99, np.uint8), compression="gzip")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_group("g").attrs["info"] = SECRET
    with zipfile.ZipFile(tmp_path / "d.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", SECRET)
    (tmp_path / "e.html").write_text(f"data:image/png;base64,{base64.b64encode(SECRET.encode()).decode()}")
    (tmp_path / "f.log").write_text("nothing")
    assert [name[0] for name in holders(tmp_path, SECRET)] == ["a", "b", "c", "c", "d", "e"]


@pytest.mark.workflow
def test_no_planted_word_reaches_what_a_run_makes(planted: Path, tmp_path: Path) -> None:
    prediction = "results/predictions/own/A-B/multi_condos/{modality}/labels50/seed0"
    run = snakemake(
        *("results/index.html", *(prediction.format(modality=name) for name in ("A", "B")), "preprocess"),
        *("--cores", "2"),
        folder=tmp_path,
        config=str(planted / "config.yaml"),
    )
    assert run.returncode == 0, run.stdout[-5000:]
    (tmp_path / "terminal.txt").write_text(run.stdout)
    made = [path.suffix for path in tmp_path.rglob("*") if path.is_file()]
    assert {".gz", ".h5", ".pt", ".png", ".html", ".csv", ".json", ".log", ".tsv"} <= set(made)
    assert list(tmp_path.glob("results/predictions/own/*/*/*/*/*/p*.nii.gz"))
    assert holders(tmp_path, SECRET) == []
    assert holders(tmp_path / "results", PLACE) == []
    assert holders(tmp_path / "work/own/shards", PLACE) == []
    assert [name for name in holders(tmp_path / "work", PLACE) if name.split()[0].endswith(".pt")] == []
    assert holders(tmp_path / "work", PLACE) == ["own/index.tsv (bytes)"]


def test_no_planted_word_is_shown_or_written_by_the_commands(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "mine")
    assert main(["init-cohort", str(planted), "--output", out]) == 0
    assert main(["check-cohort", "--config", str(planted / "config.yaml"), "--output", f"{out}.csv"]) == 0
    write_dicom(scan(0)["A"], tmp_path / "two")
    write_dicom(scan(1)["A"], tmp_path / "two", series="1.2.4")
    with pytest.raises(McdError, match="2 DICOM series") as caught:
        read_volume(tmp_path / "two")
    printed = capsys.readouterr()
    (tmp_path / "printed").mkdir()
    (tmp_path / "printed/text.txt").write_text(printed.out + printed.err + str(caught.value))
    for made in (tmp_path / "printed", *tmp_path.glob("mine.*")):
        text = "".join(path.read_text() for path in ([made] if made.is_file() else made.iterdir()))
        assert SECRET.lower() not in text.lower()

"""What users do wrong, and the line that each mistake ends with: for the tests, and for docs/reference/messages.md.

    python tests/mistakes.py

writes the page. In a command `{name}` stands for a file that `Scene` makes, good or bad.
"""

import contextlib
import io
import os
import random
import re
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import SimpleITK as sitk
import yaml

from mcd.cli import main
from mcd.testing.cohort import make_tiny_cohort

PAGE = Path(__file__).parents[1] / "docs/reference/messages.md"


CONFIGURATION = {
    "cohorts": {
        "tiny": {
            "layout": "samplesheet",
            "sheet": "sheet.tsv",
            "modalities": ["A", "B"],
            "pairs": ["A-B"],
            "regions": {"core": [1], "whole": [1, 2]},
            "preprocessing": {"size": [32, 32]},
            "batch_size": {"pretraining": 4, "finetuning": {0.25: 2}},
        }
    },
    "methods": ["fully_supervised", "simclr", "multi_condos"],
    "label_ratios": [0.25],
    "full_ratios": [],
    "filters": 2,
    "pretraining": {"epochs": 1, "steps_per_epoch": 1},
    "finetuning": {"epochs": 1, "steps_per_epoch": 1, "warmup_epochs": 0},
    "algorithms": {"dsgan": {"discriminator_filters": 2}},
    "compute": {"device": "cpu"},
}


class Scene:
    """A folder of good and bad files, by the names that command lines use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cohort = make_tiny_cohort(folder)
        self.files: dict[str, Path] = {
            "shard": self.cohort.shards[0],
            "shards": folder / "?.h5",
            "split": self.cohort.split,
        }
        self._write_configurations()
        self._write_bad_files()
        self._write_splits()
        self._write_shards()
        self._write_sheets()
        self._train()

    def __getitem__(self, name: str) -> str:
        return str(self.files.get(name, self.folder / name))

    def words(self, command: str) -> list[str]:
        """The arguments of a command line."""
        found: list[str] = []
        for word in command.split():
            if word == "{shards}":
                found += map(str, self.cohort.shards)
            else:
                found.append(re.sub(r"\{([\w.]+)\}", lambda match: self[match[1]], word))
        return found

    def text(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.files[name] = path

    def _write_configurations(self) -> None:
        good = yaml.safe_dump(CONFIGURATION, sort_keys=False)
        self.text("config", good)
        self.text("malformed", good.replace("methods:", "methods: ["))
        self.text("tabs", good.replace("  tiny:", "\ttiny:"))
        self.text("mine.yaml", good)
        self.text("percent", good.replace("- 0.25", "- 25"))
        self.text("list", "- a\n- b\n")
        self.text("number", "3\n")
        self.text("latin", good.encode() + "# für".encode("latin-1"))
        self.text("utf16", good.encode("utf-16"))
        self.text("twice", good + "filters: 4\n")
        self.text("unknown", good + "filtres: 4\n")
        self.text("test_and_folds", good.replace("    layout:", "    test: 2\n    folds: 3\n    layout:"))
        self.text("anchors", "a: &a [x, x]\nb: &b [*a, *a]\n" + good)

    def _write_bad_files(self) -> None:
        self.text("empty", b"")
        self.text("words", "not what was asked for\n")
        self.text("noise", random.Random(0).randbytes(4000))
        (self.folder / "directory").mkdir()
        (self.folder / "loop").symlink_to(self.folder / "loop")
        os.mkfifo(self.folder / "pipe")
        before = Path.cwd()
        os.chdir(self.folder)  # the name of a socket is short
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind("socket")
        finally:
            os.chdir(before)

    def _write_splits(self) -> None:
        names = self.cohort.subjects
        self.text("stranger", f'{{"format": "mcd-split/1", "train": ["{names[0]}", "nobody"], "test": ["{names[1]}"]}}')
        self.text("twice_split", f'{{"format": "mcd-split/1", "train": ["{names[0]}"], "test": ["{names[0]}"]}}')
        self.text("no_labels", f'{{"format": "mcd-split/1", "train": [], "test": [], "unlabelled": ["{names[0]}"]}}')
        self.text("list_split", "[1, 2]")
        self.text("wrong_split", '{"format": "mcd-split/1", "train": 3, "test": ["a"]}')

    def _write_shards(self) -> None:
        def shard(name: str, change: Callable[[h5py.File], None]) -> None:
            path = self.folder / name
            path.write_bytes(self.cohort.shards[0].read_bytes())
            with h5py.File(path, "r+") as file:
                change(file)
            self.files[name] = path

        for attribute in ("format", "modalities", "subjects", "info", "label_codes"):
            shard(f"without_{attribute}", lambda file, attribute=attribute: file.attrs.__delitem__(attribute))  # type: ignore[misc]
        for dataset in ("images", "labels", "content", "subject", "code_voxels"):
            shard(f"without_{dataset}", lambda file, dataset=dataset: file.__delitem__(dataset))  # type: ignore[misc]
        path = self.folder / "other_hdf5"
        with h5py.File(path, "w") as file:
            file["x"] = np.zeros(3)
        self.files["other_hdf5"] = path
        self.text("cut_shard", self.cohort.shards[0].read_bytes()[:3000])

    def _write_sheets(self) -> None:
        row = "x\tnone.nii.gz\tnone.nii.gz\n"
        self.text("sheet.tsv", f"subject\tA\tB\n{row}")
        sheets: dict[str, bytes | str] = {
            "words": "not what was asked for\n",
            "latin": f"subject\tA\tB\n{row}# für".encode("latin-1"),
            "near": f"subject\tA\tB\tspilt\n{row}",
            "twice": f"subject\tA\ta\tB\n{row}",
            "commas": "subject,A,B\n",
        }
        good = yaml.safe_dump(CONFIGURATION, sort_keys=False)
        for name, content in sheets.items():
            self.text(f"{name}.tsv", content)
            self.text(f"sheet_{name}", good.replace("sheet.tsv", f"{self.folder}/{name}.tsv"))
        self.text("sheet_pipe", good.replace("sheet.tsv", f"{self.folder}/pipe"))
        self.text("no_sheet", good.replace("sheet.tsv", f"{self.folder}/nothing.tsv"))
        volume = np.random.default_rng(0).normal(size=(8, 32, 32)).astype(np.float32)
        sitk.WriteImage(sitk.GetImageFromArray(volume), str(self.folder / "volume.nii.gz"))
        self.text("patients/p1/a.nii.gz", "damaged")
        for name in (
            "flat/p1_a.nii.gz",
            *(f"parts/{part}/{one}/a.nii.gz" for part in ("train", "test") for one in "12"),
        ):
            self.text(name, "")

    def _train(self) -> None:
        """A model, a pre-training, one of another width, and damaged ones."""
        self.text("wide_config", yaml.safe_dump({**CONFIGURATION, "filters": 4}, sort_keys=False))
        for command in (
            _FINETUNE.replace("{out.pt}", "{model.pt}"),
            _FINETUNE.replace("{out.pt}", "{model_b.pt}").replace("--modality A", "--modality B"),
            _PRETRAIN.replace("{out.pt}", "{pretrained.pt}"),
            _PRETRAIN.replace("{out.pt}", "{wide.pt}").replace("{config}", "{wide_config}"),
        ):
            status, errors = outcome(self, command)
            assert status == 0, errors
        whole = (self.folder / "model.pt").read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 16
        self.text("flipped.pt", bytes(flipped))
        self.text("cut.pt", whole[: len(whole) // 2])
        self.text("cut.h5", self.cohort.shards[0].read_bytes()[:3000])


_PRETRAIN = "pretrain --config {config} --cohort tiny --shards {shards} --split {split} --pair A-B --output {out.pt}"
_FINETUNE = (
    "finetune --config {config} --cohort tiny --shards {shards} --split {split} --modality A --ratio 0.25 "
    "--method fully_supervised --output {out.pt}"
)
_PREDICT = "predict --model {model.pt} --image {volume.nii.gz} --output {out.nii.gz}"
_PREDICT_ALL = "predict --model {model.pt} --patients {patients} --output {out}"
_UNREADABLE = ("nothing", "directory", "loop", "pipe", "socket")


def _with(command: str, option: str, *values: str) -> list[str]:
    """A command line with other values of an option, one after the other."""
    found = []
    for value in values:
        changed, count = re.subn(rf"{option} \S+", lambda _, value=value: f"{option} {value}", command)  # type: ignore[misc]
        found.append(changed if count else f"{command} {option} {value}")
    return found


def _files(command: str, option: str, *names: str) -> list[str]:
    return _with(command, option, *(f"{{{name}}}" for name in names))


MISTAKES: dict[str, list[str]] = {
    "Configurations": [
        *_files(_PRETRAIN, "--config", *_UNREADABLE, "empty", "malformed", "tabs", "list", "number", "latin", "utf16"),
        *_files(_PRETRAIN, "--config", "twice", "unknown", "percent", "test_and_folds", "noise", "words"),
        "check-cohort --config {nothing}",
        "check-cohort --config {latin}",
        "split keep --config {directory} {split}",
    ],
    "Options": [
        *_with(_PRETRAIN, "--cohort", "other"),
        *_with(_PRETRAIN, "--pair", "A", "A-A", "A-C", "A-B-C", "a-b"),
        f"{_PRETRAIN} --method multi_condos_m",
        *_with(_PRETRAIN, "--method", "nonsense", "fully_supervised"),
        *_with(_PRETRAIN, "--seed", "-1", "x", "1.5"),
        *_with(_FINETUNE, "--ratio", "0", "-1", "2", "nan", "inf", "x", "0.3"),
        *_with(_FINETUNE, "--modality", "C", "A-B"),
        *_with(_FINETUNE, "--method", "nonsense", "simclr"),
        *_with(_PREDICT, "--device", "nonsense", "cuda", "cuda:99", "cuda:-1"),
        *_with(_PREDICT, "--box", "6 5 4 3 2 1", "0 0 0 0 0 0", "nan 1 2 3 4 5", "1 2 3", "a b c d e f"),
        "simulate brats2018 {simulated} --subjects 0",
        "simulate brats2018 {simulated} --seed -1",
        "simulate brats2018 {simulated} --noise nan",
        "check-cohort --config {config} --cohort other",
        "check-cohort --config {config} --jobs 0",
        "grouping --shards {shards} --modalities X Y",
        "nonsense",
    ],
    "Places to write to": [
        *_with(_PRETRAIN, "--output", "{model}", "{directory}", "{words}/out.pt", "/proc/out.pt"),
        *_with(_FINETUNE, "--output", "{model}", "{directory}", "{words}/out.pt"),
        *_with(_PREDICT, "--output", "{out.txt}", "{words}/out.nii.gz", "/proc/out.nii.gz"),
        "evaluate --model {model.pt} --shards {shards} --split {split} --output {words}",
        "card {model.pt} --output {words}/card.md",
        "card {model.pt} --output {directory}",
        "export {model.pt} --output {words}/model.onnx",
        "grouping --shards {shards} --output {words}/pairs.csv",
        "simulate brats2018 {words}",
        "check-cohort --config {config} --output {directory}",
    ],
    "Splits": [
        *_files(_PRETRAIN, "--split", *_UNREADABLE, "empty", "words", "noise", "shard", "list_split", "wrong_split"),
        *_files(_PRETRAIN, "--split", "twice_split", "stranger"),
        *_files(_FINETUNE, "--split", "no_labels"),
        "evaluate --model {model.pt} --shards {shards} --split {no_labels} --output {scores}",
        "split keep --config {config} {nothing}",
    ],
    "Shards": [
        *_files(_PRETRAIN, "--shards", *_UNREADABLE, "empty", "words", "noise", "other_hdf5", "cut_shard"),
        *_files(_PRETRAIN, "--shards", "without_format", "without_modalities", "without_subjects", "without_info"),
        *_files(_PRETRAIN, "--shards", "without_images", "without_content", "without_subject"),
        *_files(_FINETUNE, "--shards", "without_labels", "without_code_voxels", "without_label_codes"),
        "inspect {cut.h5}",
        "inspect {mine.yaml}",
    ],
    "Checkpoints": [
        *(f"inspect {{{name}}}" for name in (*_UNREADABLE, "empty", "words", "noise", "flipped.pt", "cut.pt")),
        *_files(_FINETUNE.replace("fully_supervised", "multi_condos"), "--pretrained", "empty", "model.pt", "wide.pt"),
        "card {pretrained.pt}",
        "export {pretrained.pt} --output {out.onnx}",
        *_with("export {pretrained.pt} --encoder --to monai --output {encoder.pt}", "--modality", "C"),
        "export {pretrained.pt} --encoder --to monai --output {encoder.pt}",
        "export {pretrained.pt} --encoder --output {encoder.pt}",
        "export {model.pt} --encoder --to smp --modality B --output {encoder.pt}",
        "export {model.pt} --to smp --output {encoder.pt}",
        "export {model.pt} --encoder --to smp --scores {words} --output {encoder.pt}",
        "export {model.pt} --encoder --to keras --output {encoder.pt}",
        "evaluate --model {pretrained.pt} --shards {shards} --split {split} --output {scores}",
        "predict --model {words} --image {volume.nii.gz} --output {out.nii.gz}",
    ],
    "Volumes of a new patient": [
        *_files(_PREDICT, "--image", *_UNREADABLE, "empty", "words", "noise", "shard"),
        *_with(_PREDICT, "--image", "C={words}", "A=", "/dev/zero"),
        *_files(_PREDICT, "--mask", "words", "pipe"),
        _PREDICT.replace("--image {volume.nii.gz} ", ""),
        f"{_PREDICT} --largest-component whole other",
        f"{_PREDICT_ALL} --box 0 1 2 3 4 5",
        f"{_PREDICT_ALL} --fill-holes other",
        *_with(_PREDICT_ALL, "--output", "{words}"),
        *_files(_PREDICT_ALL, "--patients", "nothing", "words", "commas.tsv", "sheet.tsv", "directory", "patients"),
        *_with(_PREDICT_ALL.replace("{patients}", "{flat}"), "--image", "A=x.nii.gz", "A=*/x.nii.gz", "C=*.nii.gz"),
        *_files(_PREDICT_ALL.replace("model.pt", "model_b.pt") + " --model {model.pt}", "--patients", "flat", "parts"),
    ],
    "Folders, sheets and scores": [
        "init-cohort {nothing}",
        "init-cohort {words}",
        "init-cohort {directory}",
        "init-cohort {directory} --modality CT",
        "fetch other",
        "fetch hanseg --folder {new}",
        "grouping --subjects {nothing}",
        "grouping --subjects {directory}",
        "check-cohort --config {no_sheet}",
        *(f"check-cohort --config {{sheet_{name}}}" for name in ("words", "pipe", "latin", "near", "twice", "commas")),
        "card {model.pt} --scores {words}",
        "card {model.pt} --scores {nothing}",
        "card {model.pt} --scores {pipe}",
    ],
}
"""Where the message appears -> the command lines that lead to one there."""


def outcome(scene: Scene, command: str) -> tuple[int, list[str]]:
    """The exit status of a command and the lines that call themselves an error, with the scene's folder left out."""
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            status = main(scene.words(command))
        except SystemExit as end:  # argparse's own
            status = int(end.code or 0)
    text = errors.getvalue().replace(f"{scene.folder}/", "")
    text = re.sub(r"(?<=eof = )\d+", "N", text)  # the size of an HDF5 file depends on the library
    return status, [line for line in text.splitlines() if "error: " in line]


def page(scene: Scene) -> str:
    """docs/reference/messages.md, from what the commands print."""
    parts = [
        "# What you see and what to do",
        "",
        "A mistake ends with one line: the place, what is wrong with it, and what to do. These are the lines for the mistakes",
        "of `tests/mistakes.py`, as the commands print them; `python tests/mistakes.py` makes the page, and a test holds it to",
        "them. In a workflow the same line stands on the terminal and in the rule's log.",
        "",
        "Not ours: a file after `--configfile` that is missing, a folder or not in UTF-8 ends in Snakemake's own traceback,",
        "which comes before it reads the workflow. Its last line names the file; a path counts from the folder where snakemake",
        "was started. Of a file that is not YAML it says `Config file is not valid JSON or YAML`, without a line: `mcd",
        "check-cohort --config FILE` says where.",
    ]
    for where, commands in MISTAKES.items():
        lines = dict.fromkeys(outcome(scene, command)[1][-1].partition("error: ")[2] for command in commands)
        parts += ["", f"## {where}", "", "```", *lines, "```"]
    return "\n".join(parts) + "\n"


def written(folder: Path) -> str:
    """The page, made in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return page(Scene(folder))
    finally:
        os.chdir(before)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(written(Path(folder).resolve()))
    sys.stdout.write(f"{PAGE} written\n")

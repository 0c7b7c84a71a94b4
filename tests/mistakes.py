"""What users do wrong, and the line that they get: for the tests, and for docs/reference/messages.md, which is made of it.

    python tests/mistakes.py --write

writes the page. A mistake is a command line, in which `{name}` stands for a file that `Scene` made, good or bad, and the
line that it ends with.
"""

import os
import random
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml

from mcd.testing.cohort import make_tiny_cohort

PAGE = Path(__file__).parents[1] / "docs/reference/messages.md"


@dataclass(frozen=True)
class Mistake:
    """A command line that must end with one line, a regular expression of that line, and what to do beyond what it says."""

    where: str
    command: str
    line: str
    advice: str = ""


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
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.files[name] = path

    def _write_configurations(self) -> None:
        good = yaml.safe_dump(CONFIGURATION, sort_keys=False)
        self.text("config", good)
        self.text("malformed", good.replace("methods:", "methods: ["))
        self.text("tabs", good.replace("  tiny:", "\ttiny:"))
        self.text("list", "- a\n- b\n")
        self.text("number", "3\n")
        self.text("latin", good.encode() + "# für".encode("latin-1"))
        self.text("utf16", good.encode("utf-16"))
        self.text("twice", good + "filters: 4\n")
        self.text("unknown", good + "filtres: 4\n")
        self.text("anchors", "a: &a [x, x]\nb: &b [*a, *a]\n" + good)

    def _write_bad_files(self) -> None:
        self.text("empty", b"")
        self.text("words", "not what was asked for\n")
        self.text("noise", random.Random(0).randbytes(4000))
        (self.folder / "directory").mkdir()
        (self.folder / "loop").symlink_to(self.folder / "loop")
        os.mkfifo(self.folder / "pipe")
        self._socket = socket.socket(socket.AF_UNIX)
        before = Path.cwd()
        os.chdir(self.folder)  # the name of a socket is short
        try:
            self._socket.bind("socket")
        finally:
            os.chdir(before)

    def _write_splits(self) -> None:
        names = self.cohort.subjects
        self.text("stranger", f'{{"format": "mcd-split/1", "train": ["{names[0]}", "nobody"], "test": ["{names[1]}"]}}')
        self.text("twice_split", f'{{"format": "mcd-split/1", "train": ["{names[0]}"], "test": ["{names[0]}"]}}')
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
        self.text("sheet.tsv", "subject\tA\tB\nx\tnone.nii.gz\tnone.nii.gz\n")


_PRETRAIN = "pretrain --config {config} --cohort tiny --shards {shards} --split {split} --pair A-B --output {out.pt}"
_FINETUNE = (
    "finetune --config {config} --cohort tiny --shards {shards} --split {split} --modality A --ratio 0.25 "
    "--method fully_supervised --output {out.pt}"
)


def replaced(command: str, option: str, value: str) -> str:
    """A command line with another value of an option."""
    changed, count = re.subn(rf"{option} \S+", lambda _: f"{option} {value}", command)
    assert count == 1, (command, option)
    return changed

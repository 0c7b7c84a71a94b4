"""Whatever the workflow wrote, a changed bit is refused, or changes nothing of what is read."""

import json
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mcd.csv_files import read_csv, write_csv, write_frame
from mcd.errors import McdError
from mcd.evaluation.score_rows import write_scores
from mcd.evaluation.scores import read_scores
from mcd.files import read_json, write_json
from mcd.prediction.masks import predicted_regions, predicted_subjects, read_predictions, write_predictions
from mcd.slices.shards import Shards
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import tiny_subject
from mcd.training.checkpoint import Checkpoint, load_checkpoint, load_resume, save_checkpoint, save_resume
from mcd.translation.examples import Examples, read_examples, write_examples

RNG = np.random.default_rng(0)
RUN = {"cohort": "c", "pair": "A-B", "modality": "A", "method": "m", "label_ratio": 0.1, "seed": 0}
SCORES = [
    RUN | {"subject": f"p{n}", "region": region, "DSC": 0.25, "Sen": 0.5, "PPV": 0.5, "HD95": 7.5, "BIoU": 0.75}
    for n in range(3)
    for region in ("WT", "TC")
]
WEIGHTS = {"network": {"weight": torch.randn(4, 3), "bias": torch.randn(4)}}
REGIONS = {"WT": [1, 2], "TC": [1]}


def shard(path: Path) -> Any:
    with Shards([path]) as shards:
        found: list[Any] = [shards.modalities, shards.size]
        for name, subject in shards.subjects.items():
            found += [name, subject.start, subject.stop, subject.info]
            found += [{code: count.tolist() for code, count in shards.code_voxels(name).items()}]
            found += [shards.read(name, dataset).tobytes() for dataset in ("images", "labels", "content")]
    return found


def predictions(path: Path) -> Any:
    masks = {name: read_predictions(path, name) for name in predicted_subjects(path)}
    plain = {name: {region: mask.tobytes() for region, mask in found.items()} for name, found in masks.items()}
    return predicted_regions(path), plain


def examples(path: Path) -> Any:
    return [value.tobytes() if isinstance(value, np.ndarray) else value for value in astuple(read_examples(path))]


IDENTITY = {"of": "this"}


def checkpoint(path: Path) -> Any:
    found = load_checkpoint(path)
    weights = {key: tensor.tolist() for key, tensor in found.weights["network"].items()}
    return found.kind, found.description, found.version, weights


def resume(path: Path) -> Any:
    state = load_resume(path, IDENTITY)
    if state is None:  # a training that starts anew costs time, never a result
        raise McdError(f"{path}: not taken up")
    return state["epoch"], state["weight"].tolist()


def made_examples() -> Examples:
    images, ranges, similarity = (RNG.normal(size=size).astype(np.float32) for size in [(6, 8, 8), (2, 2), (4, 4)])
    return Examples(("A", "B"), "p0", 3, (1.0, 2.0), images, ranges, similarity)


FILES: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "shard.h5": (lambda path: write_subjects(path, [("p0", tiny_subject(0)), ("p1", tiny_subject(1))]), shard),
    "predictions.h5": (
        lambda path: write_predictions([(f"p{n}", RNG.random((2, 2, 16, 16))) for n in range(3)], REGIONS, path),
        predictions,
    ),
    "examples.h5": (lambda path: write_examples(made_examples(), path), examples),
    "model.pt": (
        lambda path: save_checkpoint(Checkpoint("segmentation", {"method": "m", "seed": 3}, WEIGHTS), path),
        checkpoint,
    ),
    "state": (lambda path: save_resume({"identity": IDENTITY, "epoch": 3, "weight": torch.randn(5)}, path), resume),
    "scores.csv": (lambda path: write_scores(SCORES, path), lambda path: read_scores([path]).to_dict("records")),
    "losses.csv": (
        lambda path: write_csv([["epoch", "total"], [1, 2.5], [2, None]], path),
        lambda path: read_csv(path).getvalue(),
    ),
    "info.json": (lambda path: write_json(path, {"grid": [1, 2.5], "size": None}, sealed=True), read_json),
}


def flips(content: bytes) -> list[int]:
    """Every byte of a small file; of a larger one a draw, which a rare place still cannot hide from for long."""
    if len(content) < 2500:
        return list(range(len(content)))
    return sorted(np.random.default_rng(1).choice(len(content), 2500, replace=False).tolist())


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path: Path, name: str) -> None:
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    content, expected = path.read_bytes(), read(path)
    refused, unharmed, positions = 0, 0, flips(content)
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            assert read(path) == expected, position
        except McdError as error:
            refused += str(error).startswith(str(path)) and "\n" not in str(error)
        else:
            unharmed += 1
    assert refused + unharmed == len(positions)
    assert refused > 0.3 * len(positions)  # HDF5 leaves gaps, where a bit says nothing


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_refused(tmp_path: Path, name: str) -> None:
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    for length in {0, 1, *np.linspace(2, len(content) - 2, 40).astype(int).tolist()}:
        path.write_bytes(content[:length])
        with pytest.raises(McdError, match=name):
            read(path)


def test_a_checkpoint_without_digest_is_held_to_its_zip(tmp_path: Path) -> None:
    """As the first edition wrote them, in which torch itself notices nothing."""
    path = tmp_path / "old.pt"
    content = {"format": "mcd-checkpoint/1", "version": "0.1", "kind": "segmentation", "description": {}}
    torch.save({**content, "weights": {"network": {"weight": torch.arange(1000.0)}}}, path)
    assert load_checkpoint(path).weights["network"]["weight"][7] == 7
    whole = bytearray(path.read_bytes())
    whole[whole.index(torch.arange(500.0, 510.0).numpy().tobytes())] ^= 64
    path.write_bytes(whole)
    assert torch.load(path, weights_only=True)["weights"]["network"]["weight"][500] != 500
    with pytest.raises(McdError, match=r"old\.pt: not a readable checkpoint \(.*delete it to regenerate it"):
        load_checkpoint(path)


def test_a_damaged_state_is_said_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_resume({"identity": IDENTITY}, tmp_path / "state")
    whole = bytearray((tmp_path / "state").read_bytes())
    whole[len(whole) // 2] ^= 1
    (tmp_path / "state").write_bytes(whole)
    assert load_resume(tmp_path / "state", IDENTITY) is None
    assert "state: not taken up" in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"DSC": 7.0}, "DSC of p1, TC is 7, and goes from 0 to 1"),
        ({"DSC": -0.1}, "DSC of p1, TC is -0.1"),
        ({"DSC": float("nan")}, "DSC of p1, TC is nan"),
        ({"HD95": float("inf")}, "HD95 of p1, TC is inf"),
        ({"region": "WT"}, "a region of p1 appears twice"),
        ({"subject": "p9"}, "a region of p1 is missing"),
    ],
)
def test_a_score_that_no_scoring_gives_is_refused_even_without_a_digest(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    table = pd.DataFrame(SCORES)
    place = (table["subject"] == "p1") & (table["region"] == "TC")
    table.loc[place, list(change)] = list(change.values())
    table.to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(McdError, match=reason) as fault:
        read_scores([tmp_path / "scores.csv"])
    assert "scores.csv" in str(fault.value)
    assert "delete it to regenerate it" in str(fault.value)


def test_an_undefined_sensitivity_is_a_score(tmp_path: Path) -> None:
    pd.DataFrame(SCORES).assign(Sen=None).to_csv(tmp_path / "scores.csv", index=False)
    assert read_scores([tmp_path / "scores.csv"])["Sen"].isna().all()


@pytest.mark.parametrize("end", [-1, -30])
def test_a_cut_last_row_is_refused_even_without_a_digest(tmp_path: Path, end: int) -> None:
    text = pd.DataFrame(SCORES).to_csv(index=False)
    (tmp_path / "scores.csv").write_text(text[:end])
    with pytest.raises(McdError, match=r"scores\.csv: its end or a part of a row is missing; delete it to regenerate"):
        read_scores([tmp_path / "scores.csv"])


@pytest.mark.parametrize("lost", [0, -1], ids=["first", "last"])
def test_a_lost_patient_is_noticed(tmp_path: Path, lost: int) -> None:
    write_scores(SCORES, tmp_path / "scores.csv")
    header, *rows = (tmp_path / "scores.csv").read_text().splitlines()
    gone = SCORES[lost]["subject"]
    kept = [row for row in rows if f",{gone}," not in row]
    assert len(kept) == 4
    (tmp_path / "scores.csv").write_text("\n".join([header, *kept]) + "\n")
    with pytest.raises(McdError, match=r"scores\.csv: damaged \(it differs from its digest\); delete it to regenerate"):
        read_scores([tmp_path / "scores.csv"])


def test_a_table_goes_through_its_file_unchanged(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ['a, "b"', "NA", ""], "value": [1 / 3, None, 1e-9]})
    write_frame(table, tmp_path / "t.csv", "%.3g")
    assert read_csv(tmp_path / "t.csv").getvalue() == table.to_csv(index=False, float_format="%.3g")
    assert list(pd.read_csv(tmp_path / "t.csv")) == ["name", "value", "digest"]


def test_what_people_edit_has_no_digest(tmp_path: Path) -> None:
    write_json(tmp_path / "split.json", {"train": ["a"]})
    assert json.loads((tmp_path / "split.json").read_text()) == {"train": ["a"]}

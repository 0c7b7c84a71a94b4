"""A pre-training packed for others, and taken back: the same to the last bit, on known terms, or refused with one line."""

import json
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mcd.cli import main
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.records import Record
from mcd.testing.cohort import TinyCohort
from mcd.trace import of_simulated_patients
from mcd.training.checkpoint import load_checkpoint

pytest.importorskip("safetensors")

NAME = "tiny-A-B-simclr-seed0"
COHORT: dict[str, Any] = {
    "modalities": ["A", "B"],
    "pairs": ["A-B"],
    "regions": {"core": [1], "whole": [1, 2]},
    "preprocessing": {"size": [32, 32]},
    "batch_size": {"pretraining": 4, "finetuning": {0.25: 2}},
}


def configured(folder: Path, **cohort: Any) -> str:
    layout = {"layout": "samplesheet", "sheet": str(folder / "raw/sheet.tsv")}
    content = {"cohorts": {"tiny": {**COHORT, **layout, **cohort}}, "filters": 2, "compute": {"device": "cpu"}}
    content |= {"finetuning": {"epochs": 1, "steps_per_epoch": 1, "warmup_epochs": 0}, "label_ratios": [0.25]}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture
def scene(tiny_cohort: TinyCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pre-training of real patients whose data has no licence, and a configuration."""
    monkeypatch.chdir(tmp_path)
    task = PretrainingTask(
        algorithm="simclr", modalities=("A", "B"), filters=2, epochs=1, batch_size=4, steps_per_epoch=1
    )
    about = {"cohort": "tiny", "pair": "A-B", "pretraining": "simclr", "seed": "0"}
    pretrain(task, shards=tiny_cohort.shards, split=tiny_cohort.split, output=tmp_path / "c.pt", about=about)
    configured(tmp_path)
    return tmp_path


def share(*more: str, output: str = "pack.zip") -> int:
    return main(["share", "c.pt", "--config", "config.yaml", "--output", output, *more])


LICENSED = ("--data-licence", "CC BY 4.0", "--data-citation", "Somebody, 2020")


@pytest.mark.parametrize("output", ["pack.zip", "pack"])
def test_it_comes_back_as_it_was(
    scene: Path, tiny_cohort: TinyCohort, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    assert share(*LICENSED, output=output) == 0
    assert "data CC BY 4.0" in capsys.readouterr().out
    assert main(["fetch", output]) == 0
    said = capsys.readouterr().out
    assert "of its data: CC BY 4.0" in said
    assert "cite its data: Somebody, 2020" in said
    place = scene / "weights" / NAME
    there, here = load_checkpoint(place / "checkpoint.pt"), load_checkpoint("c.pt")
    assert json.loads(json.dumps(here.description)) == there.description
    assert (there.kind, there.version) == (here.kind, here.version)
    assert there.weights.keys() == here.weights.keys()
    for part, state in here.weights.items():
        assert there.weights[part].keys() == state.keys()
        for key, value in state.items():
            assert torch.equal(there.weights[part][key], value)
            assert there.weights[part][key].dtype == value.dtype
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=place, check=True)
    assert main(["fetch", output]) == 0, "what is there is not made again"
    data = ["--shards", *map(str, tiny_cohort.shards), "--split", str(tiny_cohort.split)]
    fine = ["finetune", "--config", "config.yaml", "--cohort", "tiny", "--method", "simclr", "--modality", "A", *data]
    assert main([*fine, "--ratio", "0.25", "--output", "m.pt", "--pretrained", str(place / "checkpoint.pt")]) == 0


def test_its_first_page_says_what_it_is_and_on_whose_terms(scene: Path) -> None:
    assert share(*LICENSED, "--licence", "CC BY-NC 4.0", output="pack") == 0
    page = (scene / "pack/README.md").read_text()
    head = yaml.safe_load(page.split("---")[1])
    assert (head["license"], head["license_name"]) == ("other", "CC BY-NC 4.0")
    for words in ("| licence of the data | CC BY 4.0 |", "Somebody, 2020", f"# {NAME}", "`simclr`"):
        assert words in page
    cited = (scene / "pack/citation.bib").read_text()
    assert "zhang2023multicondos" in cited
    assert "chen2020simclr" in cited


def test_the_same_pack_is_the_same_file(scene: Path) -> None:
    assert share(*LICENSED, output="one.zip") == share(*LICENSED, output="two.zip") == 0
    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()


def test_without_a_licence_of_the_data_it_is_refused(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert share() == 1
    assert capsys.readouterr().err == (
        "error: cohort tiny: the licence of its data is not known, so weights that were trained on it are not shared; "
        "give --data-licence, and --data-citation\n"
    )
    assert not Path("pack.zip").exists()
    source = {"format": "mcd-source/1", "title": "Tiny", "licence": "CC0", "citation": "Nobody, 2021"}
    Path("raw").mkdir()
    Path("raw/mcd_source.json").write_text(json.dumps(source))
    assert share() == 0, "what mcd fetch has put beside the data"
    assert "data CC0" in capsys.readouterr().out


def test_simulated_patients_have_this_projects_licence_where_records_say_that_they_are(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A configuration alone does not: one of real patients may have a cohort of the same name."""
    configured(
        scene, layout="brats2018", sheet=None, simulate={"subjects": 4}, modalities=["T1CE", "T2"], pairs=["T1CE-T2"]
    )
    assert share() == 1
    assert "c.pt: no record says that its patients are simulated" in capsys.readouterr().err
    place = Path("work/tiny")
    place.mkdir(parents=True)
    Path("c.pt").rename(place / "c.pt")
    for name in ("raw.nii", "subject", "split.json"):
        (place / name).write_text("")
    made = [("simulate", [], "raw.nii"), ("preprocess_subject", ["raw.nii"], "subject")]
    made += [("pretrain_pair", ["subject", "split.json"], "c.pt")]
    for rule, inputs, output in made:
        log = f"logs/{rule}.log"
        Record.begin(rule, {}, [f"work/tiny/{name}" for name in inputs], log).end([f"work/tiny/{output}"])
    assert of_simulated_patients(place / "c.pt") is True
    common = ["share", str(place / "c.pt"), "--config", "config.yaml", "--output"]
    assert main([*common, "pack"]) == 0
    page = Path("pack/README.md").read_text()
    assert "license: apache-2.0" in page
    assert "Trained on simulated patients" in page
    capsys.readouterr()
    assert main([*common, "other", "--data-licence", "CC0"]) == 1
    assert "tiny is simulated" in capsys.readouterr().err
    Path("logs/simulate.json").unlink()  # as for patients whose files were there
    assert main([*common, "other"]) == 1
    assert "was trained on real patients, and the configuration has simulated ones" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["weights.safetensors", "checkpoint.json", "README.md", "SHA256SUMS"])
def test_a_flipped_bit_is_noticed(scene: Path, capsys: pytest.CaptureFixture[str], file: str) -> None:
    assert share(*LICENSED, output="pack") == 0
    content = bytearray(Path("pack", file).read_bytes())
    content[10] ^= 1
    Path("pack", file).write_bytes(content)
    assert main(["fetch", "pack"]) == 1
    assert "differs from its checksum in SHA256SUMS; fetch it again" in capsys.readouterr().err
    assert not Path("weights", NAME).exists()


def test_a_damaged_zip_and_what_is_no_pack_are_one_line(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert share(*LICENSED) == 0
    whole = Path("pack.zip").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (bytes(flipped), whole[:-100], b"no zip"):
        Path("bad.zip").write_bytes(content)
        capsys.readouterr()
        assert main(["fetch", "bad.zip"]) == 1
        assert capsys.readouterr().err.startswith("error: bad.zip: damaged, or no pack of `mcd share` (")
    with zipfile.ZipFile("other.zip", "w") as archive:
        archive.writestr("x.txt", "x")
    assert main(["fetch", "missing.zip"]) == 1
    assert capsys.readouterr().err == "error: missing.zip: no such pack; correct the path\n"
    assert main(["fetch", "other.zip"]) == 1
    assert capsys.readouterr().err == "error: other.zip: not a pack of `mcd share`: it has no README.md\n"
    assert not Path("weights").exists() or not list(Path("weights").iterdir())


def test_another_one_of_the_name_is_not_replaced(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert share(*LICENSED) == share(*LICENSED, "--licence", "CC0", output="other.zip") == 0
    assert main(["fetch", "pack.zip"]) == 0
    assert main(["fetch", "other.zip"]) == 1
    assert f"weights/{NAME}: is there already, and is something else" in capsys.readouterr().err
    assert share(*LICENSED) == 1
    assert "pack.zip: is there already" in capsys.readouterr().err


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(scene: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(scene))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_is_fetched_from_an_address(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert share(*LICENSED) == 0
    assert main(["fetch", f"{address}/pack.zip?download=1", "--folder", "mine"]) == 0
    assert [path.name for path in Path("mine").iterdir()] == [NAME], "no archive is left"
    assert load_checkpoint(f"mine/{NAME}/checkpoint.pt").kind == "pretraining"
    capsys.readouterr()
    assert main(["fetch", f"{address}/nothing.zip"]) == 1
    assert "the server refuses it (404" in capsys.readouterr().err

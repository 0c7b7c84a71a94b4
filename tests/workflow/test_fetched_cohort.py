"""From nothing to Table II on fetched patients in two commands; the model's card has the terms of their data."""

import hashlib
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from official_trees import msd
from snakemake_run import snakemake

from mcd.cli import main
from mcd.cohorts import fetch
from mcd.cohorts.sources import SOURCES

pytestmark = pytest.mark.workflow

SMALL = (
    "methods=[fully_supervised, multi_condos]",
    "label_ratios=[0.5]",
    "full_ratios=[]",
    "filters=4",
    "pretraining={epochs: 1, steps_per_epoch: 2}",
    "finetuning={epochs: 1, steps_per_epoch: 2, warmup_epochs: 0}",
    "cohorts={msd_prostate: {test: 2, preprocessing: {size: [32, 32], spacing: [1, 1, 2]}, batch_size: {pretraining: 4}}}",
)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of the server's last connection
def test_two_commands_lead_to_table_ii(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served, run = tmp_path / "served", tmp_path / "run"
    msd(
        served / "Task05_Prostate",
        [f"prostate_{n:02d}" for n in range(6)],
        {"0": "T2", "1": "ADC"},
        {"0": "background", "1": "PZ", "2": "TZ"},
    )
    archive = served / "Task05_Prostate.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(served / "Task05_Prostate", "Task05_Prostate")
    known = replace(SOURCES["msd_prostate"], md5=hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setitem(SOURCES, "msd_prostate", known)
    monkeypatch.setattr(fetch, "_PAUSE", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}"
        assert main(["fetch", "msd_prostate", "--folder", str(run / "data"), "--mirror", mirror]) == 0
        server.shutdown()
    made = snakemake(
        *("results/table2.csv", "--cores", "2", "--config", *SMALL), folder=run, config="configs/msd_prostate.yaml"
    )
    assert made.returncode == 0, made.stdout[-5000:]
    table = pd.read_csv(run / "results/table2_long.csv")
    assert set(table["modality"]) == {"T2", "ADC"}
    assert not table["simulated"].any()
    model = next(run.glob("work/msd_prostate/T2-ADC/multi_condos/T2/labels50/seed0/model.pt"))
    capsys.readouterr()
    assert main(["card", str(model)]) == 0
    card = capsys.readouterr().out
    assert "| their licence | CC BY-SA 4.0" in card
    assert "Antonelli et al., The Medical Segmentation Decathlon" in card

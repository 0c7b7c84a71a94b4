"""Another package adds methods, a layout and a metric by entry points, as docs/how_to/adding_a_baseline.md has it."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mcd.evaluation.metrics import METRICS
from mcd.models.encoder import Encoder
from mcd.pretraining.vicreg import VICReg
from mcd.slices.batches import Batch
from mcd.testing import check_metric, check_pretraining, check_segmentation
from mcd.training.method import Losses

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/how_to/adding_a_baseline.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./-]+)`:\n\n```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
"""Every file that the page spells out, by its name."""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's package, as `pip install` would leave it."""
    folder = tmp_path_factory.mktemp("outside")
    project = FILES.pop("pyproject.toml")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    info = folder / "my_baselines-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-baselines\nVersion: 1.0\n")
    groups = re.findall(r'^\[project\.entry-points\."(.+)"\]\n((?:\w+ = ".*"\n)+)', project, re.MULTILINE)
    assert {group for group, _ in groups} == {"mcd.pretraining", "mcd.segmentation", "mcd.layouts", "mcd.metrics"}
    lines = [f"[{group}]\n" + entries.replace('"', "") for group, entries in groups]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder


def run(outside: Path, *command: str) -> str:
    path = os.pathsep.join([str(outside), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *command],
        cwd=outside,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_pages_own_tests_pass(outside: Path) -> None:
    assert "4 passed" in run(outside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_baselines.py")


def test_rows_options_and_metrics_from_outside_are_planned(outside: Path) -> None:
    (outside / "config.yaml").write_text(
        (ROOT / "configs/smoke.yaml")
        .read_text()
        .replace("[fully_supervised, multi_condos]", "[fully_supervised, colour, noisy, multi_condos]")
        .replace("dsgan: {discriminator_filters: 4}", "dsgan: {discriminator_filters: 4}\n  colour: {levels: 3}")
    )
    planned = run(
        outside,
        "-m",
        "snakemake",
        "results/table_beyond.csv",
        "-n",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--configfile",
        "config.yaml",
    )
    assert "pretraining/colour/seed0/checkpoint.pt" in planned
    assert "/noisy/T2/labels50/seed0/model.pt" in planned
    code = "from mcd.evaluation.metrics import METRIC_KEYS; print(METRIC_KEYS[-1])"
    assert run(outside, "-c", code).strip() == "VolumeError"


def test_an_option_from_outside_is_checked_with_the_configuration(outside: Path) -> None:
    code = (
        "from mcd.config import Config\n"
        "from mcd.errors import McdError\n"
        "from mcd.config.algorithms import Algorithms\n"
        "try: Algorithms.read({'colour': {'levels': 1}}, 'algorithms')\n"
        "except McdError as error: print(error)\n"
    )
    assert "colour.levels: Input should be greater than or equal to 2" in run(outside, "-c", code)


def test_a_package_that_cannot_be_loaded_is_named(outside: Path, tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mcd.metrics]\nmine = nowhere:METRIC\n")
    code = (
        "from mcd.errors import McdError\ntry: import mcd.evaluation.metrics\nexcept McdError as error: print(error)\n"
    )
    assert "nowhere:METRIC: entry point mine of mcd.metrics cannot be loaded" in run(tmp_path, "-c", code)


def test_our_own_pass_the_public_checks() -> None:
    check_pretraining("vicreg")
    check_metric("HD95")


def test_an_encoder_that_never_learns_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the head behind it does: its features are cut off from the loss, as by a forgotten `no_grad`."""
    forward = Encoder.forward
    monkeypatch.setattr(Encoder, "forward", lambda self, images: forward(self, images).detach())
    with pytest.raises(AssertionError, match=r"vicreg: \d+ kernels that it says it trained never change"):
        check_pretraining("vicreg")


def test_the_checks_notice_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="supervised: no row of its name trains with it"):
        check_segmentation("supervised")
    with pytest.raises(AssertionError, match="dsgan: no row of its name pre-trains with it"):
        check_pretraining("dsgan")
    dice = METRICS[0]
    monkeypatch.setattr("mcd.evaluation.metrics.METRICS", (replace(dice, function=lambda truth, found: 2.0),))
    with pytest.raises(AssertionError, match=r"DSC: 2.0 of random is not within \(0.0, 1.0\)"):
        check_metric("DSC")
    monkeypatch.setattr("mcd.evaluation.metrics.METRICS", (replace(dice, function=lambda truth, found: 0.5),))
    with pytest.raises(AssertionError, match=r"DSC: 0.5 of equal masks"):
        check_metric("DSC")


def test_a_method_that_forgets_its_state_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that is no buffer is lost when a job is killed."""
    losses = VICReg.losses

    def forgetful(self: VICReg, batch: Batch, player: str) -> Losses:
        calls = self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
        found = losses(self, batch, player)
        return {**found, "total": found["total"] * calls}

    monkeypatch.setattr(VICReg, "losses", forgetful)
    with pytest.raises(AssertionError, match="is not in its parameters and buffers"):
        check_pretraining("vicreg")

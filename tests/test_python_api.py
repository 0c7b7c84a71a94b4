"""`mcd` from Python: the stable names, what they load, and the notebook, which is run."""

import ast
import inspect
import pickle
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch.utils.data import DataLoader

import mcd
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.testing.cohort import TinyCohort

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs/notebooks/python.py"
PAGE = ROOT / "docs/how_to/python.md"
STABLE = {
    *("Encoder", "McdError", "SliceDataset", "Split", "UNet", "dice_and_cross_entropy", "discriminator_loss"),
    *("generator_loss", "load_encoder", "load_model", "multimodal_contrastive", "predict"),
    *("read_split", "set_prior", "soft_dice"),
}
REGIONS = {"core": [1], "whole": [1, 2]}


def test_the_names_are_those_that_were_promised() -> None:
    """A name that is gone, or a parameter of one, breaks somebody's program: say so in the changelog, and change this test."""
    assert set(mcd.__all__) == STABLE | {"__version__"}
    assert set(mcd.__all__) <= set(dir(mcd))
    for name in STABLE:
        assert getattr(mcd, name).__name__ == name
    parameters = {name: list(inspect.signature(getattr(mcd, name)).parameters) for name in STABLE if name.islower()}
    assert parameters == {
        "dice_and_cross_entropy": ["logits", "targets", "within"],
        "discriminator_loss": ["real", "fake", "form"],
        "generator_loss": ["fake", "form"],
        "load_encoder": ["path", "modality"],
        "load_model": ["path", "device"],
        "multimodal_contrastive": ["x", "y", "temperature"],
        "predict": ["models", "images", "mask", "box", "fuse", "largest_component", "fill_holes", "device"],
        "read_split": ["path"],
        "set_prior": ["unet", "probability"],
        "soft_dice": ["logits", "targets", "smooth", "within"],
    }
    with pytest.raises(AttributeError, match="module 'mcd' has no attribute 'predikt'"):
        _ = mcd.predikt


def test_type_checkers_see_the_names_that_are_looked_up() -> None:
    tree = ast.parse(Path(mcd.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        (node.module, name.name) for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    assert imported == {tuple(place.split(":")) for place in mcd._PLACES.values()}


def test_importing_mcd_loads_nothing() -> None:
    code = (
        "import sys, mcd; mcd.__version__; dir(mcd)\n"
        "heavy = {'torch', 'numpy', 'pandas', 'SimpleITK', 'h5py', 'matplotlib'} & set(sys.modules)\n"
        "own = {name for name in sys.modules if name.startswith('mcd.')}\n"
        "assert not heavy | own, heavy | own\n"
        "mcd.McdError; assert 'torch' not in sys.modules\n"
        "mcd.load_encoder; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_names_them_all() -> None:
    page = PAGE.read_text()
    assert {name for name in STABLE if f"`{name}`" in page or f"`{name}(" in page or f", `{name}(" in page} == STABLE


def run_the_pages_examples(folder: Path, ran: dict[str, Any]) -> None:
    """Each alone, where `make demo` would have left its files: here those of the notebook's cohort."""
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 4
    stand_ins = {"model.pt": ran["model_file"], "checkpoint.pt": ran["checkpoint"], "SIM0007_ct.nii.gz": ran["file"]}
    stand_ins |= {"shards": ran["shards"], "seed0.json": ran["run"] / "splits/brats/seed0.json"}
    for code in examples:
        for place in re.findall(r'"(demo/[^"]+)"', code):
            file = folder / place
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.symlink_to(stand_ins[file.name])
        for theirs, ours in {'"CT"': '"FLAIR"', '"PET"': '"T1CE"', '"GTVt"': '"WT"'}.items():
            code = code.replace(theirs, ours)
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    assert (folder / "label.nii.gz").exists()


@pytest.mark.workflow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(ROOT)
    plt.switch_backend("agg")
    with matplotlib.rc_context():
        ran = runpy.run_path(str(NOTEBOOK))
    assert len(plt.get_fignums()) == 5
    plt.close("all")
    assert np.mean(ran["history"][-3:]) < ran["history"][0] / 2
    assert np.mean(ran["segmentation"][-3:]) < ran["segmentation"][0]
    assert ran["pooled"].shape == (1, 128)
    torch.testing.assert_close(ran["levels"][-1].mean((2, 3)), ran["pooled"])
    found = ran["found"]
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(ran["run"] / "label.nii.gz")))
    np.testing.assert_array_equal(label, found.label)
    assert found.millilitres["WT"] == pytest.approx(found.masks["WT"].sum() * 27e-3)
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(found.masks["WT"].astype(np.uint8)), True)
    assert sitk.GetArrayFromImage(parts).max() == 1
    assert ran["dice"]["WT"] > 0.6
    run_the_pages_examples(tmp_path, ran)
    with pytest.raises(mcd.McdError, match=r"x\.png: not a NIfTI file"):
        found.save(tmp_path / "x.png")


def test_an_item_is_what_our_own_trainings_see(tiny_cohort: TinyCohort) -> None:
    data = mcd.SliceDataset(tiny_cohort.shards[0].parent, ["p1", "p0"], ["B"], regions=REGIONS, select="target")
    with Shards(tiny_cohort.shards) as shards:
        own = SliceSet(shards, ["p1", "p0"], ["B"], regions=REGIONS, select="target")
        batch = own.batch(np.arange(len(own)))
    assert batch.targets is not None
    assert len(data) == len(own)
    for position, item in enumerate(data):
        torch.testing.assert_close(item["image"], batch.images[position], rtol=0, atol=0)
        torch.testing.assert_close(item["target"], batch.targets[position], rtol=0, atol=0)
        assert (item["subject"], item["slice"]) == (own.subjects[own.subject_of[position]], own.rows[position])
        assert item["known"].all()
    assert (data.modalities, data.regions) == (["B"], ["core", "whole"])
    assert data[-1]["slice"] == own.rows[-1]
    with pytest.raises(IndexError):
        data[len(data)]
    whole = mcd.SliceDataset(tiny_cohort.shards)
    assert set(whole[0]) == {"image", "subject", "slice"}
    assert whole.modalities == ["A", "B"]
    assert {item["subject"] for item in whole} == set(tiny_cohort.subjects)


@pytest.mark.parametrize("memory_limit", [8e9, 0.0], ids=["in memory", "streamed"])
def test_workers_read_the_same(memory_limit: float, tiny_cohort: TinyCohort) -> None:
    data = mcd.SliceDataset(tiny_cohort.shards, regions=REGIONS, memory_limit=memory_limit)
    alone = list(DataLoader(data, batch_size=7))
    for copies in (data, pickle.loads(pickle.dumps(data))):
        with_workers = list(DataLoader(copies, batch_size=7, num_workers=2, multiprocessing_context="fork"))
        for ours, theirs in zip(alone, with_workers, strict=True):
            assert ours["subject"] == theirs["subject"]
            for name in ("image", "target", "known", "slice"):
                torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0)


def test_what_cannot_be_given_is_refused(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    with pytest.raises(mcd.McdError, match="no shard"):
        mcd.SliceDataset(tmp_path)
    with pytest.raises(mcd.McdError, match="select='target': give content, all, or, with regions, target"):
        mcd.SliceDataset(tiny_cohort.shards, select="target")
    shards = tiny_cohort.shards
    for given, message in (
        ({"subjects": "p0"}, r"subjects='p0': is one text; give a list of them, such as \['p0'\]"),
        ({"modalities": "A"}, "modalities='A': is one text"),
        ({"regions": "WT"}, "regions='WT': is one text"),
        ({"subjects": []}, "subjects: is empty; name at least one, or leave it out"),
        ({"modalities": ()}, "modalities: is empty"),
        ({"regions": {}}, "regions: is empty"),
        ({"shards": []}, "shards: is empty; give the folder"),
    ):
        with pytest.raises(mcd.McdError, match=message):
            mcd.SliceDataset(**{"shards": shards, **given})  # type: ignore[arg-type]
    with pytest.raises(mcd.McdError, match="nobody"):
        mcd.SliceDataset(tiny_cohort.shards, ["nobody"])
    with pytest.raises(mcd.McdError, match="not C"):
        mcd.SliceDataset(tiny_cohort.shards, modalities=["C"])

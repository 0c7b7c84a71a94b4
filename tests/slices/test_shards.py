"""Shards: what goes in comes out, and damage is noticed."""

import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from mcd.errors import McdError
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import read_preprocessed, write_preprocessed
from mcd.slices.shards import Shards
from mcd.slices.write_shards import write_shard, write_subjects
from mcd.testing.cohort import TinyCohort, make_tiny_cohort, tiny_subject, tiny_volumes


def test_round_trip(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """Of folders as preprocessing leaves them, whatever the order in which they are given."""
    write_shard(tmp_path / "all.h5", dict(reversed(tiny_cohort.folders.items())))
    with Shards([tmp_path / "all.h5"]) as shards:
        assert shards.modalities == ["A", "B"]
        assert shards.size == (32, 32)
        assert list(shards.subjects) == list(tiny_cohort.folders)
        for name, folder in tiny_cohort.folders.items():
            pre = read_preprocessed(folder)
            images = shards.read(name, "images")
            for channel, volume in enumerate(pre.volumes.values()):
                np.testing.assert_allclose(images[:, channel], volume, atol=2e-3)  # half precision of a z-score
                assert ((images[:, channel] != 0) == (volume != 0)).all()
            np.testing.assert_array_equal(shards.read(name, "labels"), pre.label)
            np.testing.assert_array_equal(
                shards.read(name, "content"), np.stack([(v != 0).any((1, 2)) for v in pre.volumes.values()], 1)
            )
            assert pre.label is not None
            for code, voxels in shards.code_voxels(name).items():
                np.testing.assert_array_equal(voxels, (pre.label == code).sum((1, 2)))
            assert shards.subject(name).info == pre.info
            assert shards.subject(name).spacing == (2.0, 1.0, 1.0)


def test_the_tiny_cohort_is_what_its_folders_make(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """Its shards are written without an image library, and its volumes say the options that preprocessing has."""
    names = list(tiny_cohort.folders)
    write_shard(tmp_path / "0.h5", {name: tiny_cohort.folders[name] for name in names[: len(names) // 2]})
    assert (tmp_path / "0.h5").read_bytes() == tiny_cohort.shards[0].read_bytes()
    options = json.loads(json.dumps(PreprocessOptions(size=(32, 32), spacing=(1.0, 1.0, 2.0)).model_dump()))
    with Shards(tiny_cohort.shards) as shards:
        assert shards.subject("p0").info["options"] == options


def test_rows_are_read_as_asked(tiny_cohort: TinyCohort) -> None:
    with Shards(tiny_cohort.shards) as shards:
        everything = shards.read("p1", "images")
        np.testing.assert_array_equal(shards.read("p1", "images", np.array([6, 1, 1])), everything[[6, 1, 1]])
        np.testing.assert_array_equal(shards.read("p1", "images", slice(2, 5)), everything[2:5])
        np.testing.assert_array_equal(shards.read("p1", "images", [3, 0], channels=[1]), everything[[3, 0], 1:])
        np.testing.assert_array_equal(shards.read("p1", "images", channels=[1, 0]), everything[:, [1, 0]])
        place = np.zeros((1, 1, 32, 32), np.float16)
        assert shards.read("p1", "images", [4], [1], out=place) is place
        np.testing.assert_array_equal(place, everything[[4], 1:])


def test_shards_of_earlier_versions_are_read_the_same(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """Their chunks hold all modalities of a slice."""
    earlier = tmp_path / "earlier.h5"
    shutil.copy(tiny_cohort.shards[0], earlier)
    with h5py.File(earlier, "a") as file:
        images = file["images"][:]
        assert file["images"].chunks == (1, 1, 32, 32)
        del file["images"]
        file.create_dataset(
            "images", data=images, chunks=(1, 2, 32, 32), compression="lzf", fletcher32=True, maxshape=(None, 2, 32, 32)
        )
    with Shards([earlier]) as old, Shards([tiny_cohort.shards[0]]) as new:
        for name in new.subjects:
            np.testing.assert_array_equal(old.read(name, "images"), new.read(name, "images"))
            np.testing.assert_array_equal(old.read(name, "images", [5], [1]), new.read(name, "images", [5], [1]))
            assert old.digest(name, ["images", "labels"], [0, 1]) == old.digest(name, ["images", "labels"], [1])


def test_a_digest_is_of_what_is_read(tmp_path: Path) -> None:
    """Of the modalities that are asked for and of no other."""
    cohort = make_tiny_cohort(tmp_path)
    with Shards(cohort.shards) as shards:
        before = {channel: shards.digest("p0", ["images"], [channel]) for channel in (0, 1)}
        with_labels = shards.digest("p0", ["images", "labels"], [0])
    assert len({*before.values(), with_labels}) == 3
    with h5py.File(cohort.shards[0], "a") as file:
        file["images"][3, 1] += np.float16(1)
    with Shards(cohort.shards) as shards:
        assert shards.digest("p0", ["images"], [0]) == before[0]
        assert shards.digest("p0", ["images"], [1]) != before[1]


def test_only_the_modalities_that_are_asked_for_are_read(tmp_path: Path) -> None:
    cohort = make_tiny_cohort(tmp_path)
    with h5py.File(cohort.shards[0]) as file:
        chunk = file["images"].id.get_chunk_info_by_coord((3, 1, 0, 0))
    content = bytearray(cohort.shards[0].read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    cohort.shards[0].write_bytes(bytes(content))
    with Shards(cohort.shards) as shards:
        assert shards.read("p0", "images", channels=[0]).any()
        with pytest.raises(McdError, match=r"0\.h5: damaged"):
            shards.read("p0", "images", [3], [1])


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    cohort = make_tiny_cohort(tmp_path)
    with h5py.File(cohort.shards[0]) as file:
        chunk = file["images"].id.get_chunk_info(3)
    content = bytearray(cohort.shards[0].read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    cohort.shards[0].write_bytes(bytes(content))
    with Shards(cohort.shards) as shards, pytest.raises(McdError, match=r"0\.h5: damaged"):
        shards.read("p0", "images")


def test_faults_are_named(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    with pytest.raises(McdError, match=r"none\.h5: no such shard"):
        Shards([tmp_path / "none.h5"])
    (tmp_path / "cut.h5").write_bytes(tiny_cohort.shards[0].read_bytes()[:500])
    with pytest.raises(McdError, match=r"cut\.h5: not a readable HDF5 file"):
        Shards([tmp_path / "cut.h5"])
    other = shutil.copy(tiny_cohort.shards[0], tmp_path / "other.h5")
    with h5py.File(other, "a") as file:
        file.attrs["format"] = "mcd-shard/99"
    with pytest.raises(McdError, match="mcd-shard/99"):
        Shards([other])
    with Shards(tiny_cohort.shards) as shards:
        with pytest.raises(McdError, match="subject p9: in the split"):
            shards.subject("p9")
        with pytest.raises(McdError, match="not PET"):
            shards.modality_positions(["A", "PET"])


def test_subjects_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    write_preprocessed(tiny_subject(0), tmp_path / "a")
    write_preprocessed(tiny_subject(1, size=(48, 48)), tmp_path / "b")
    with pytest.raises(McdError, match="one configuration"):
        write_shard(tmp_path / "s.h5", {"a": tmp_path / "a", "b": tmp_path / "b"})
    assert not (tmp_path / "s.h5").exists()


@pytest.mark.parametrize("unlabelled", [["p0"], ["p1"], ["p2"], ["p0", "p2"], ["p0", "p1", "p2"]])
def test_a_shard_may_hold_subjects_without_a_label(tmp_path: Path, unlabelled: list[str]) -> None:
    """Nobody's labels read as another's, nor as background, wherever the unlabelled ones lie."""
    cohort = make_tiny_cohort(tmp_path, unlabelled=unlabelled)
    with Shards(cohort.shards) as shards:
        for index, name in enumerate(cohort.subjects):
            made = tiny_volumes(index)
            assert shards.subject(name).labelled == (name not in unlabelled)
            assert np.array_equal(shards.read(name, "images")[:, 0], made.volumes["A"].astype(np.float16))
            if name in unlabelled:
                for read in (lambda name: shards.read(name, "labels"), shards.code_voxels):
                    with pytest.raises(McdError, match=rf"0\.h5: has no \w+ of {name}; give it a label"):
                        read(name)
                continue
            assert made.label is not None
            assert np.array_equal(shards.read(name, "labels"), made.label)
            for code, voxels in shards.code_voxels(name).items():
                assert np.array_equal(voxels, np.equal(made.label, code).sum(axis=(1, 2)))
            assert len(shards.digest(name, ["images", "labels"], [0, 1])) > 10


def test_a_shard_that_cannot_be_read_is_not_to_be_deleted(tmp_path: Path) -> None:
    shard = make_tiny_cohort(tmp_path).shards[0]
    with shard.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(McdError, match=r"0\.h5: locked by another program; close that") as locked:
            Shards([shard])
    shard.chmod(0)
    with as_another_user(), pytest.raises(McdError, match=r"0\.h5: no permission to read it") as forbidden:
        Shards([shard])
    shard.chmod(0o600)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(shard, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))  # as many as are open
    try:
        with pytest.raises(McdError, match=r"0\.h5: too many open files; raise the limit") as many:
            Shards([shard])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for error in (locked, forbidden, many):
        assert "delete" not in str(error.value)
    with Shards([shard]) as shards:
        assert shards.read("p0", "images").any()


@contextmanager
def as_another_user() -> Iterator[None]:
    """Root may read everything, so it becomes nobody for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_shard_that_was_replaced_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcd.slices.shards._most_open", lambda: 1)
    names = ["p0", "p1"]
    for name in names:
        write_subjects(tmp_path / f"{name}.h5", [(name, tiny_subject(0, size=(16, 16)))])
    with Shards([tmp_path / f"{name}.h5" for name in names]) as shards:
        assert shards.read("p0", "images").any()
        assert shards.read("p1", "images").any()
        replaced = tiny_subject(0, size=(16, 16))
        replaced.info["options"]["size"] = [8, 8]
        write_subjects(tmp_path / "p0.h5", [("p0", replaced)])
        with pytest.raises(McdError, match=r"p0\.h5: was replaced while it was in use; start again"):
            shards.read("p0", "images")


FEW_DESCRIPTORS = """
import resource, sys
from mcd.slices.shards import Shards
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with Shards(sys.argv[1:]) as shards:
    for name in [*shards.subjects, *reversed(shards.subjects)]:
        assert shards.read(name, "images").any()
    print(len(shards.subjects))
"""


def test_a_cohort_may_have_more_shards_than_a_process_may_open(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(80)]
    for name in names:
        write_subjects(tmp_path / f"{name}.h5", [(name, tiny_subject(0, size=(16, 16)))])
    files = [str(tmp_path / f"{name}.h5") for name in names]
    run = subprocess.run([sys.executable, "-c", FEW_DESCRIPTORS, *files], capture_output=True, text=True)
    assert run.stdout == "80\n", run.stderr

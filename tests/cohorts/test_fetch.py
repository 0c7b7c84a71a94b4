"""A data set arrives whole, by resuming what broke off, or not at all; its terms come first and stay beside it.

There is no network here: archives are served on loopback, by a server that breaks off, lies and refuses.
"""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from official_trees import msd
from small_disks import small_disk

from mcd.cli import main
from mcd.cohorts import fetch as module
from mcd.cohorts.fetch import fetch
from mcd.cohorts.sources import FILE, SOURCES, Source, read_source
from mcd.errors import McdError

SIZE = 300_000


class Server(ThreadingHTTPServer):
    """Serves `content` under any address; what it was asked for is in `ranges`."""

    content = b""
    breaks: tuple[int, ...] = ()  # how many bytes the first answers give before the connection is closed
    ranges: list[str | None]
    resumes = True
    status = 200


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        content = self.server.content
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.resumes else 0
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        number = len(self.server.ranges) - 1
        end = start + self.server.breaks[number] if number < len(self.server.breaks) else None
        self.wfile.write(content[start:end])

    def log_message(self, *_: object) -> None:
        pass


def archive(folder: str, seed: int = 0) -> bytes:
    """A tar with one folder of incompressible bytes, as the Decathlon's with files of macOS in it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        files = {
            "imagesTr/a.nii.gz": np.random.default_rng(seed).bytes(SIZE),
            "imagesTr/._a.nii.gz": b"x",
            "dataset.json": b"{}",
        }
        for name, content in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server(("127.0.0.1", 0), Handler) as made:
        made.ranges = []
        made.content = archive("Task99")
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def source_of(server: Server, **changes: str | None) -> Source:
    url = f"http://127.0.0.1:{server.server_port}/here/Task99.tar"
    made = Source(
        "Ninety-nine", "http://page", "CC0", "Nobody, 2020", "Task99", url, hashlib.md5(server.content).hexdigest()
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_it_is_unpacked_with_its_terms_beside_it(server: Server, tmp_path: Path) -> None:
    place = fetch(source_of(server), "nn", tmp_path / "data")
    assert sorted(path.name for path in place.rglob("*")) == ["a.nii.gz", "dataset.json", "imagesTr", FILE]
    kept = json.loads((place / FILE).read_text())
    assert kept["sha256"] == hashlib.sha256(server.content).hexdigest()
    assert (kept["bytes"], kept["licence"], kept["citation"]) == (len(server.content), "CC0", "Nobody, 2020")
    assert read_source(place) == {"title": "Ninety-nine", "licence": "CC0", "citation": "Nobody, 2020"}
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["Task99"], "no archive, no lock"
    assert fetch(source_of(server), "nn", tmp_path / "data") == place
    assert len(server.ranges) == 1, "what is there is not fetched again"


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.breaks = (100_000, 140_000)  # one block of 65 536 bytes arrives whole, then two
    steps: list[tuple[int, int | None]] = []
    fetch(source_of(server), "nn", tmp_path, advance=lambda here, total: steps.append((here, total)))
    assert server.ranges == [None, "bytes=65536-", "bytes=196608-"]
    assert steps[-1] == (len(server.content), len(server.content))


def test_a_later_command_resumes_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.breaks = (120_000, *[0] * 20)
    with pytest.raises(
        McdError, match=r"Task99\.tar: broken off after 65536 bytes .*; .*give the command again to resume"
    ):
        fetch(source_of(server), "nn", tmp_path)
    assert not (tmp_path / "Task99").exists()
    server.breaks, server.ranges = (), []
    fetch(source_of(server), "nn", tmp_path)
    assert server.ranges == ["bytes=65536-"]


def test_a_server_that_cannot_resume_is_asked_for_all(server: Server, tmp_path: Path) -> None:
    server.breaks, server.resumes = (100_000,), False
    place = fetch(source_of(server), "nn", tmp_path)
    assert (place / "imagesTr/a.nii.gz").stat().st_size == SIZE


def test_a_part_that_is_whole_already_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "Task99.tar.part").write_bytes(server.content)
    fetch(source_of(server), "nn", tmp_path)
    assert server.ranges == [f"bytes={len(server.content)}-"]


@pytest.mark.parametrize("left", ["", "part"])
def test_another_checksum_is_refused_and_nothing_stays(server: Server, tmp_path: Path, left: str) -> None:
    """Also that of a part of another file: it is fetched from the first byte when the command is given again."""
    source = source_of(server)
    if left:
        (tmp_path / "Task99.tar.part").write_bytes(b"\0" * 1000)
    else:
        server.content = archive("Task99", seed=1)
    with pytest.raises(McdError, match=r"Task99\.tar: arrived with another checksum than it was published with \(MD5 "):
        fetch(source, "nn", tmp_path)
    assert list(tmp_path.iterdir()) == []
    if left:
        assert fetch(source, "nn", tmp_path).is_dir()


def test_without_a_published_checksum_what_arrived_is_recorded(server: Server, tmp_path: Path) -> None:
    place = fetch(source_of(server, md5=None), "nn", tmp_path)
    assert json.loads((place / FILE).read_text())["md5"] == hashlib.md5(server.content).hexdigest()


def test_a_mirror_takes_the_place_of_the_address(server: Server, tmp_path: Path) -> None:
    source = source_of(server, url="http://127.0.0.1:9/gone/Task99.tar")
    place = fetch(source, "nn", tmp_path, mirror=f"http://127.0.0.1:{server.server_port}/copy/")
    assert json.loads((place / FILE).read_text())["from"].endswith("/copy/Task99.tar")


def test_a_proxy_of_the_environment_is_used(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "")
    source = source_of(server, url="http://data.invalid/Task99.tar")
    assert fetch(source, "nn", tmp_path).is_dir()


@pytest.mark.parametrize(
    ("status", "message"), [(403, r"the server refuses it \(403 Forbidden\)"), (503, "broken off after 0 bytes")]
)
def test_a_server_that_refuses_is_named(server: Server, tmp_path: Path, status: int, message: str) -> None:
    server.status = status
    with pytest.raises(McdError, match=message):
        fetch(source_of(server), "nn", tmp_path)


def test_nobody_there_is_said(tmp_path: Path, server: Server) -> None:
    with pytest.raises(McdError, match=r"broken off after 0 bytes \(ConnectionError\)"):
        fetch(source_of(server, url="http://127.0.0.1:9/Task99.tar"), "nn", tmp_path)


def test_no_room_is_said_before_anything_is_fetched(server: Server, tmp_path: Path) -> None:
    with small_disk(tmp_path, 500_000):
        with pytest.raises(McdError, match=r"0\.00 GB free, and archive and contents take 0\.00 GB more; free some"):
            fetch(source_of(server), "nn", tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_ends_in_one_line_and_is_resumed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others write, too: the room that was there may be gone."""
    monkeypatch.setattr(module, "_check_room", lambda *_: None)
    source = source_of(server)
    with small_disk(tmp_path, 200_000):
        with pytest.raises(McdError, match=r"Task99\.tar\.part: no space left in .*; free some"):
            fetch(source, "nn", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["Task99.tar.part"]
        assert (tmp_path / "Task99.tar.part").stat().st_size > 100_000
    with small_disk(tmp_path, 500_000):  # the archive fits, its contents do not
        with pytest.raises(McdError, match=r"Task99: no space left in .*; free some"):
            fetch(source, "nn", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["Task99.tar"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>no</html>" * 100, r"Task99\.tar: not an archive that can be unpacked"),
        (archive("Other"), r"Task99\.tar: has no folder Task99"),
        (archive("../Task99"), r"Task99\.tar: not an archive that can be unpacked"),
    ],
)
def test_an_archive_with_something_else_in_it_is_refused(
    server: Server, tmp_path: Path, content: bytes, message: str
) -> None:
    server.content = content
    with pytest.raises(McdError, match=message):
        fetch(source_of(server), "nn", tmp_path / "data")
    assert not (tmp_path / "data/Task99").exists()
    assert not (tmp_path / "Task99").exists()


def test_a_folder_that_was_not_fetched_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "Task99").mkdir()
    with pytest.raises(McdError, match="Task99: is there already, and was not fetched"):
        fetch(source_of(server), "nn", tmp_path)


def test_the_command_shows_the_terms_first_and_what_to_click(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch"]) == 0
    listed = capsys.readouterr().out
    assert [line.partition(":")[0] for line in listed.splitlines()] == list(SOURCES)
    assert main(["fetch", "isles2022", "--folder", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "Licence: as its page says" in shown.out
    assert "Please cite: Hernandez Petzsche" in shown.out
    assert "click Download" in shown.err
    assert f"then mcd init-cohort {tmp_path}/ISLES-2022" in shown.err
    assert main(["fetch", "kits"]) == 1
    assert "kits: no data set of this name is known; use one of msd_brain" in capsys.readouterr().err


def test_every_source_says_its_terms() -> None:
    for source in SOURCES.values():
        assert source.licence
        assert source.citation
        assert bool(source.url) != bool(source.clicks)
        assert not source.url or source.url.startswith("https://")


def test_a_decathlon_archive_is_a_cohort(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command to a configuration that the check passes."""
    msd(tmp_path / "Task99", ["p_001", "p_002"], {"0": "T2", "1": "ADC"}, {"0": "background", "1": "PZ", "2": "TZ"})
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "Task99", "Task99")
    server.content = (tmp_path / "x.tar").read_bytes()
    monkeypatch.setitem(SOURCES, "nn", source_of(server))
    assert main(["fetch", "nn", "--folder", str(tmp_path / "data")]) == 0
    said = capsys.readouterr().out
    assert said.index("Licence: CC0") < said.index("Task99: here")
    assert main(["init-cohort", str(tmp_path / "data/Task99"), "--output", str(tmp_path / "mine")]) == 0
    assert main(["check-cohort", "--config", str(tmp_path / "mine.yaml")]) == 0
    assert "PZ: [1]" in (tmp_path / "mine.yaml").read_text()

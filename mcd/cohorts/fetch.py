"""Public data sets onto this machine: a download that resumes, is checked, unpacked whole, and keeps its licence beside it.

pooch compares checksums and moves what is whole into place; it begins a download that broke off from its first byte, so the
downloading itself is here. Proxies are those of the environment (`HTTPS_PROXY`), as for every program that uses requests.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from mcd.cohorts.sources import FILE, Source, facts_of
from mcd.errors import McdError
from mcd.files import explained, write_json
from mcd.leftovers import sweep, temporary_prefix
from mcd.locks import alone

_BLOCK = 1 << 16  # bytes: as much is lost where a connection breaks
_TRIES = 5  # in a row that bring no byte
_PAUSE = 2.0  # s before the second of them, twice as long before the third, and so on
_TIMEOUT = 60.0  # s without a byte

Advance = Callable[[int, int | None], None]
"""(bytes that are here, bytes in all or None) is called as they come."""


def fetch(
    source: Source, name: str, folder: Path, mirror: str | None = None, advance: Advance = lambda *_: None
) -> Path:
    """Download and unpack a data set into `folder`, unless it is there; return the folder that it is in.

    Args:
        mirror: another place that has the archive: the address of a folder.

    Raises:
        McdError: where somebody has to click; for a download that breaks off (the next call resumes it), another checksum,
            no room, and an archive that is no tar or has other contents than expected.
    """
    target = folder / source.folder
    if source.url is None:
        if (target / FILE).is_file():
            return target
        raise McdError(f"{name}: cannot be fetched without a click; {'; '.join(_steps(source, target))}")
    path = folder / source.url.rpartition("/")[2]
    url = f"{mirror.rstrip('/')}/{path.name}" if mirror else source.url
    with explained(path):
        folder.mkdir(parents=True, exist_ok=True)
    with alone(f"{path}.lock"):
        if (target / FILE).is_file():
            return target
        if target.exists():
            raise McdError(f"{target}: is there already, and was not fetched; remove it, or give another --folder")
        download(url, path, source.md5, advance)
        with explained(path):
            arrived = {**_sums(path), "bytes": path.stat().st_size, "from": url, "on": date.today().isoformat()}
        _unpack(path, target, {**facts_of(source, name), **arrived})
        path.unlink()
    return target


def _steps(source: Source, target: Path) -> Iterator[str]:
    yield f"{source.page}"
    yield from source.clicks
    yield f"unpack it to {target}, then mcd init-cohort {target}"


def download(url: str, path: Path, md5: str | None, advance: Advance) -> None:
    """Download a file to `path`, from where an earlier call broke off; `McdError` where it does not arrive whole."""
    import pooch  # here alone: no stage of the workflow needs it

    pooch.get_logger().setLevel("WARNING")
    part = path.with_name(f"{path.name}.part")

    def resume(address: str, output: str, _: Any) -> None:
        _bring(address, part, advance)
        os.replace(part, output)

    known = f"md5:{md5}" if md5 else None
    try:
        pooch.retrieve(url, known, fname=path.name, path=path.parent, downloader=resume)
    except ValueError:  # its own error, for another checksum; what arrived is gone
        raise McdError(
            f"{url}: arrived with another checksum than it was published with (MD5 {md5}); try again, or give another --mirror"
        ) from None


def _bring(url: str, part: Path, advance: Advance) -> None:
    """Download into `part` from where it ends, and try again as long as any byte comes."""
    import requests

    tries = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            with explained(part):
                if _bring_on(url, part, advance):
                    return
            reason = "the connection was closed"
        except requests.RequestException as error:
            answer = error.response
            if answer is not None and 400 <= answer.status_code < 500:
                raise McdError(
                    f"{url}: the server refuses it ({answer.status_code} {answer.reason}); give another --mirror"
                ) from None
            reason = type(error).__name__
        here = part.stat().st_size if part.exists() else 0
        tries = 0 if here > before else tries + 1
        if tries < _TRIES:
            time.sleep(_PAUSE * tries)
        else:
            raise McdError(
                f"{url}: broken off after {here} bytes ({reason}); check the connection, and give the command again to resume"
            )


def _bring_on(url: str, part: Path, advance: Advance) -> bool:
    """Ask for what is missing and append it; return whether all is here."""
    import requests

    here = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={here}-", "Accept-Encoding": "identity"} if here else {"Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            whole = response.headers.get("Content-Range", "").rpartition("/")[2]
            if whole == str(here):
                return True
            part.unlink()  # longer than what is to be had: another file's
            return False
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            here = 0
        length = response.headers.get("Content-Length")
        total = here + int(length) if length else None
        _check_room(part, total, here)
        advance(here, total)
        with open(part, "r+b" if here else "wb") as stream:
            stream.seek(here)
            for block in response.iter_content(_BLOCK):
                stream.write(block)
                here += len(block)
                advance(here, total)
    return total is None or here >= total


def _check_room(part: Path, total: int | None, here: int) -> None:
    """Refuse a download for which, and for whose contents, there is no room, before it is begun."""
    free = shutil.disk_usage(part.parent).free
    if total is not None and free < 2 * total - here:
        raise McdError(
            f"{part.parent}: {free / 1e9:.2f} GB free, and archive and contents take {(2 * total - here) / 1e9:.2f} GB more; "
            "free some, or give another --folder"
        )


def _sums(path: Path) -> dict[str, str]:
    with open(path, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        return {"sha256": sha256, "md5": hashlib.file_digest(stream, "md5").hexdigest()}


def _unpack(archive: Path, target: Path, facts: dict[str, Any]) -> None:
    """Unpack an archive's folder to `target`, whole and with `facts` in it, or not at all; without what macOS adds."""

    def wanted(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo | None:
        return None if Path(member.name).name.startswith("._") else tarfile.data_filter(member, place)

    with explained(target):
        sweep(target.parent)
        temporary = tempfile.TemporaryDirectory(prefix=temporary_prefix(), dir=target.parent)
    with temporary:
        try:
            with explained(target), tarfile.open(archive) as opened:
                opened.extractall(temporary.name, filter=wanted)
        except (tarfile.TarError, EOFError) as error:
            raise McdError(
                f"{archive}: not an archive that can be unpacked ({error}); remove it, and fetch it again"
            ) from None
        inside = Path(temporary.name) / target.name
        if not inside.is_dir():
            raise McdError(f"{archive}: has no folder {target.name}; remove it, and fetch it again")
        write_json(inside / FILE, facts)
        with explained(target):
            os.replace(inside, target)

"""A pre-training in a folder or a zip, for Zenodo or a hub: weights that load no code, what they are, and on whose terms.

    README.md              what it is, how to use it, licences; the head that hubs read
    weights.safetensors    `<modality>/<name of the tensor>`
    checkpoint.json        everything else of the checkpoint
    citation.bib           the papers of the method and of the cohort's challenge
    SHA256SUMS             as `sha256sum` writes it

`unpack` makes the checkpoint of it again, the same to the last bit, if every file is as it was packed.
"""

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mcd.cohorts.fetch import Advance, download
from mcd.errors import McdError, first_line
from mcd.files import atomic_path, explained, reading_problem, together
from mcd.paths import is_address
from mcd.reporting.methods_text.citations import METHOD_KEYS, PAPER, bibliography, of_layout
from mcd.seeding import seed_words
from mcd.sharing.readme import OWN_LICENCE, readme
from mcd.trace import of_simulated_patients
from mcd.training.checkpoint import Checkpoint, save_checkpoint

FORMAT = "mcd-pack/1"

WEIGHTS, ABOUT, README, CITATION, SUMS = (
    "weights.safetensors",
    "checkpoint.json",
    "README.md",
    "citation.bib",
    "SHA256SUMS",
)
FILES = (README, WEIGHTS, ABOUT, CITATION)
"""Of which `SUMS` has the checksums."""

_NAME = re.compile(r"\w[\w.-]*")


def is_simulated(checkpoint: Path, about: Mapping[str, Any], configured: bool) -> bool:
    """Whether a pre-training saw simulated patients alone: by its own description, or by the records of its run.

    Args:
        about: the checkpoint's description.
        configured: what a configuration says.

    Raises:
        McdError: where these differ, or a configuration alone says that patients are simulated.
    """
    found = about.get("simulated")
    found = of_simulated_patients(checkpoint) if found is None else found
    if found is None and configured:
        raise McdError(
            f"{checkpoint}: no record says that its patients are simulated, as the configuration does; share it from its run's "
            "folder"
        )
    if found is not None and found != configured:
        patients = {True: "simulated", False: "real"}
        raise McdError(
            f"{checkpoint}: was trained on {patients[found]} patients, and the configuration has {patients[configured]} ones; "
            "give its own by --config"
        )
    return configured


def terms_of(cohort: str, simulated: bool, data: Mapping[str, str], licence: str | None = None) -> dict[str, str]:
    """The terms of weights that were trained on a cohort, for `readme`.

    Args:
        data: `title`, `licence` and `citation`, as far as they are known.
        licence: of the weights; None for the data's.

    Raises:
        McdError: where nobody says on whose terms real patients' data may be used.
    """
    if simulated:
        notice = "Trained on simulated patients: it has seen no real image."
        own = {"title": f"{cohort}: simulated patients", "data_licence": OWN_LICENCE, "citation": "", "notice": notice}
        return {**own, "licence": licence or OWN_LICENCE}
    if not data.get("licence"):
        raise McdError(
            f"cohort {cohort}: the licence of its data is not known, so weights that were trained on it are not shared; "
            "give --data-licence, and --data-citation"
        )
    return {
        "title": data.get("title") or cohort,
        "data_licence": data["licence"],
        "citation": data.get("citation", ""),
        "notice": "",
        "licence": licence or f"as the data's: {data['licence']}",
    }


def pack(loaded: Checkpoint, output: Path, terms: Mapping[str, str], layout: str = "") -> None:
    """Write the pack of a pre-training: a zip where `output` ends in .zip, else a folder.

    Args:
        loaded: the pre-training's checkpoint.
        terms: `terms_of` its cohort.
        layout: of the cohort, whose challenge is cited.

    Raises:
        McdError: where `output` is there already.
    """
    save = _safetensors("save")
    if output.exists():
        raise McdError(f"{output}: is there already; remove it, or give another --output")
    about = loaded.description
    parts = [about.get("cohort", "cohort"), *about["modalities"], about.get("pretraining", about["algorithm"])]
    name = "-".join([*map(str, parts), seed_words(about).replace(" ", "").replace(",", "-")])
    keys = dict.fromkeys((PAPER, *METHOD_KEYS.get(about.get("pretraining", ""), ()), *of_layout(layout)))
    tensors = {
        f"{part}/{key}": value.contiguous().clone()  # parts may share a tensor, which the format does not have
        for part, state in loaded.weights.items()
        for key, value in state.items()
    }
    described = {"format": FORMAT, "name": name, "version": loaded.version, "terms": dict(terms), "description": about}
    contents = {
        README: readme(name, about, terms, (*FILES, SUMS)).encode(),
        WEIGHTS: save(tensors),
        ABOUT: f"{json.dumps(described, indent=2)}\n".encode(),
        CITATION: bibliography(keys).encode(),
    }
    contents[SUMS] = "".join(f"{_sum(content)}  {file}\n" for file, content in contents.items()).encode()
    if output.suffix == ".zip":
        with atomic_path(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for file, content in contents.items():
                archive.writestr(zipfile.ZipInfo(f"{name}/{file}"), content)  # of no date: the same pack, the same file
        return
    with together(output) as folder:
        for file, content in contents.items():
            (folder / file).write_bytes(content)


def unpack(place: str, folder: Path, advance: Advance = lambda *_: None) -> tuple[Path, dict[str, str]]:
    """Make the checkpoint of a pack again, in a folder of the pack's name in `folder`, with the other files beside it.

    Args:
        place: a folder, a zip, or the address of a zip; where its download broke off, the next call resumes it.

    Returns:
        The checkpoint's path, and the terms.

    Raises:
        McdError: for what is no pack, is damaged, or does not arrive; where another one of its name is there.
    """
    load = _safetensors("load")
    if is_address(place):
        archive = folder / Path(place.partition("?")[0]).name
        with explained(archive):
            folder.mkdir(parents=True, exist_ok=True)
        download(place, archive, None, advance)
        try:
            contents = _read(archive)
        finally:
            archive.unlink()
    else:
        contents = _read(Path(place))
    about = _checked(place, contents)
    target = folder / about["name"]
    made = target / "checkpoint.pt"
    if target.exists():
        if (target / SUMS).is_file() and (target / SUMS).read_bytes() == contents[SUMS] and made.is_file():
            return made, about["terms"]
        raise McdError(f"{target}: is there already, and is something else; remove it, or give another --folder")
    weights: dict[str, dict[str, Any]] = {}
    for name, tensor in load(contents[WEIGHTS]).items():
        part, _, key = name.partition("/")
        weights.setdefault(part, {})[key] = tensor
    with together(target) as temporary:
        for file in (*FILES, SUMS):
            (temporary / file).write_bytes(contents[file])
        checkpoint = Checkpoint("pretraining", about["description"], weights, about["version"])
        save_checkpoint(checkpoint, temporary / made.name)
    return made, about["terms"]


def _read(place: Path) -> dict[str, bytes]:
    """File -> content of a pack, whole; of anything else in it, nothing."""
    wanted = (*FILES, SUMS)
    try:
        if place.is_dir():
            return {file: (place / file).read_bytes() for file in wanted}
        with zipfile.ZipFile(place) as archive:
            inside = {Path(name).name: name for name in archive.namelist()}
            return {file: archive.read(inside[file]) for file in wanted}
    except (KeyError, FileNotFoundError) as error:
        if not place.exists():
            raise McdError(f"{place}: no such pack; correct the path") from None
        missing = Path(str(getattr(error, "filename", None) or error.args[0])).name
        raise McdError(f"{place}: not a pack of `mcd share`: it has no {missing}") from None
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise McdError(f"{place}: damaged, or no pack of `mcd share` ({first_line(error)}); fetch it again") from None
    except OSError as error:
        raise reading_problem(place, error) or error from None


def _checked(place: str, contents: Mapping[str, bytes]) -> dict[str, Any]:
    """What a pack says of itself, if every file is as its checksum says."""
    lines = contents[SUMS].decode("utf-8", "replace").splitlines()
    sums = {name: found for found, _, name in (line.partition("  ") for line in lines)}
    for file in FILES:
        if sums.get(file) != _sum(contents[file]):
            raise McdError(f"{place}: {file} differs from its checksum in {SUMS}; fetch it again")
    about: dict[str, Any] = json.loads(contents[ABOUT])
    if about.get("format") != FORMAT:
        raise McdError(f"{place}: its {ABOUT} is not of {FORMAT}; it takes another version of mcd")
    if not _NAME.fullmatch(about["name"]):
        raise McdError(f"{place}: calls itself {about['name']!r}, which is no name of a folder; do not use it")
    return about


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _safetensors(function: str) -> Any:
    """A function of a library that is installed for this alone."""
    if find_spec("safetensors") is None:
        raise McdError("safetensors: not installed, and packs of weights need it; pip install safetensors")
    import safetensors.torch

    return getattr(safetensors.torch, function)

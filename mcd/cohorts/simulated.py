"""Simulated cohorts in an official layout, so that nothing that reads them knows that they are simulated."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

from mcd.cohorts import find_layout
from mcd.cohorts.layout import Simulator
from mcd.subject import Subject


def simulator_of(layout: str) -> Simulator:
    """Return how patients of a layout are simulated, which it must be able to."""
    simulator = find_layout(layout).simulator
    assert simulator is not None, f"{layout} cannot be simulated, which the configuration's schema refuses"
    return simulator


def simulated_subjects(
    layout: str, folder: str | Path, modalities: Sequence[str], count: int, *, seed: int
) -> list[Subject]:
    """The patients that a simulated cohort will have, with the places of their files and what is known without an image."""
    simulator = simulator_of(layout)
    subjects = []
    for number in range(1, count + 1):
        whole = simulator.files(Path(folder), f"SIM{number:04d}")
        box = resolve_name(simulator.box)(whole.id, seed=seed) if simulator.box else None
        subjects.append(replace(whole, images={name: whole.images[name] for name in modalities}, box=box))
    return subjects


def patient_files(layout: str, folder: str | Path, subject: str) -> dict[str, str]:
    """Name -> path of every file of a patient, `label` among them. Snakemake gives a folder and an id with wildcards."""
    patient = simulator_of(layout).files(Path(folder), subject)
    return {name: str(path) for name, path in {**patient.images, "label": patient.label}.items()}


def write_patient(
    layout: str,
    files: Mapping[str, str | Path],
    subject: str,
    *,
    seed: int,
    noise: float,
    spacing: Mapping[str, Sequence[float]],
) -> None:
    """Simulate one patient and write each image to its file.

    Args:
        files: a path for every modality of the layout and for `label`.
        noise: factor on the scanners' noise.
        spacing: scanner -> (x, y, z) mm; one that is left out has the real cohort's.
    """
    from mcd.imaging.write_volume import write_volume

    draw = resolve_name(simulator_of(layout).draw)
    for name, image in draw(subject, seed=seed, noise=noise, spacing=spacing).items():
        write_volume(image, files[name])


def write_cohort_file(layout: str, name: str, subjects: list[Subject], path: str | Path) -> None:
    """Write one of the files that stand beside the patients, such as HECKTOR's CSV of boxes."""
    simulator_of(layout).cohort_files[name](subjects, Path(path))

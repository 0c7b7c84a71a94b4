"""Segment new patients: one, or those of a sheet or a folder."""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.cli.arguments import device, finite
from mcd.errors import McdError, first_line
from mcd.files import together
from mcd.paths import check_output, nifti_suffix

if TYPE_CHECKING:
    from mcd.cohorts.new_patients import Faults
    from mcd.prediction.patient import Model, PatientPrediction
    from mcd.prediction.postprocess import PostProcessing
    from mcd.subject import Subject
    from mcd.training.schedule import Compute

SUMMARY = "volumes.csv"
"""Of a folder of predictions: one row per patient."""

log = logging.getLogger(__name__)


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare this module's commands by `command(name, function, help)`."""
    sub = command(
        "predict",
        _predict,
        "Segment a new patient, or all of a folder or a sheet, with one network, or with those of several modalities fused.",
    )
    sub.add_argument(
        "--model", type=Path, action="append", required=True, help="checkpoint of a fine-tuning; one per modality"
    )
    sub.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="[MODALITY=]FILE",
        help="NIfTI, NRRD, MetaImage or a folder with one DICOM series; the first one's grid is the output's. "
        "Without MODALITY, images go to the models in their order. With --patients FOLDER: a pattern below the folder, with * "
        "for the patient, such as CT='*/ct.nii.gz'",
    )
    sub.add_argument(
        "--patients",
        type=Path,
        metavar="SHEET|FOLDER",
        help="several patients: a sheet (TSV) with the columns subject, one per modality, and mask and box where needed, or a "
        "folder with a folder for each patient",
    )
    sub.add_argument(
        "--output", type=Path, required=True, help="label map to write, .nii.gz or .nii; with --patients a folder"
    )
    sub.add_argument("--mask", help="where intensities count, for a network that was trained with masks (as --image)")
    sub.add_argument(
        "--box",
        type=finite,
        nargs=6,
        metavar=("X1", "X2", "Y1", "Y2", "Z1", "Z2"),
        help="what to crop to, in mm (LPS), as HECKTOR's boxes; default the middle of the content and all slices",
    )
    sub.add_argument("--fuse", choices=["mean", "staple"], default="mean", help="(default %(default)s)")
    sub.add_argument(
        "--largest-component",
        nargs="*",
        metavar="REGION",
        help="keep the largest component alone, of these regions, or of all; default of none",
    )
    sub.add_argument(
        "--fill-holes", nargs="*", metavar="REGION", help="fill holes in these regions, or in all; default in none"
    )
    sub.add_argument("--probabilities", action="store_true", help="also write a NIfTI of probabilities for each region")
    sub.add_argument("--no-seg", action="store_true", help="write no DICOM SEG where the first image is a DICOM series")
    sub.add_argument("--device", type=device, default="auto", help="auto, cpu, cuda or cuda:1 (default %(default)s)")


@dataclass(frozen=True)
class _Task:
    """What is done to every patient."""

    models: "Sequence[Model]"
    compute: "Compute"
    fuse: str
    after: "PostProcessing"
    probabilities: bool
    seg: bool

    @property
    def regions(self) -> list[str]:
        return list(self.models[0].description["regions"])

    def left_out(self, subject: "Subject") -> list[str]:
        """A sentence for each model of which a patient has no image."""
        without = [model for model in self.models if model.modality not in subject.images]
        return [f"{model.name}: no {model.modality} image is given, so it is left out" for model in without]

    def segment(self, subject: "Subject", output: Path) -> "tuple[PatientPrediction, list[Path], list[str]]":
        """Segment a patient and write all files or none; the prediction, the files, and what a reader is told of it."""
        from mcd.prediction.origin import summary_line
        from mcd.prediction.patient import predict_patient

        found = predict_patient(
            self.models,
            subject.images,
            mask=subject.mask,
            box=subject.box,
            how=self.fuse,
            after=self.after,
            compute=self.compute,
        )
        used = [model for model in self.models if model.modality in subject.images]
        lines = [summary_line(model.description) for model in used]
        if len(used) > 1:
            lines.append(f"Fused: {'mean probability' if self.fuse == 'mean' else 'STAPLE'}.")
        if self.after:
            lines.append(self.after.sentence())
        series = next(iter(subject.images.values()))
        with together(output.parent) as folder:
            self._write(found, series, lines, folder / output.name)
            written = sorted(folder.iterdir())
        return found, [output.parent / path.name for path in written], lines

    def _write(self, found: "PatientPrediction", series: Path, lines: Sequence[str], output: Path) -> None:
        from mcd.imaging.write_volume import write_volume
        from mcd.reporting.figures.prediction_sheet import draw_prediction

        suffix = nifti_suffix(output)
        stem = output.with_name(output.name.removesuffix(suffix))
        found.save(output)
        if self.probabilities:
            for region, probability in found.probabilities.items():
                write_volume(found.grid.image(probability), stem.with_name(f"{stem.name}_{region}{suffix}"))
        if self.seg and series.is_dir():
            self._write_seg(found, series, stem.with_name(f"{stem.name}.dcm"))
        picture = stem.with_name(f"{stem.name}.png")
        draw_prediction(found.prepared, found.seen, found.millilitres, stem.name, lines, found.warnings, picture)

    def _write_seg(self, found: "PatientPrediction", series: Path, path: Path) -> None:
        from mcd.imaging.dicom_seg import can_write_seg, write_seg
        from mcd.reporting.figures.style import REGIONS

        if can_write_seg():
            write_seg(found.masks, series, path, f"Multi-ConDoS {', '.join(found.masks)}", REGIONS)


def _predict(options: argparse.Namespace) -> None:
    if options.patients:
        _check_several(options)
    else:
        _check_one(options)

    from mcd.imaging.dicom_seg import can_write_seg
    from mcd.prediction.patient import load_models
    from mcd.prediction.postprocess import PostProcessing
    from mcd.training.schedule import Compute

    compute = Compute(device=options.device)
    models = load_models(options.model, compute)
    regions = list(models[0].description["regions"])
    after = PostProcessing(
        *(regions if names == [] else tuple(names or ()) for names in (options.largest_component, options.fill_holes))
    )
    after.check(regions)
    task = _Task(models, compute, options.fuse, after, options.probabilities, not options.no_seg)
    images = by_modality(options.image, [model.modality for model in models])
    subjects, faults = _several(options, task, images) if options.patients else (_one(options, images), [])
    series = any(next(iter(subject.images.values())).is_dir() for subject in subjects)
    if series and task.seg and not can_write_seg():
        _warn("no DICOM SEG will be written: it needs highdicom; pip install 'mcd[dicom]'")
    if options.patients:
        _segment_several(task, subjects, faults, options)
    else:
        _segment_one(task, subjects[0], options.output)


def _check_one(options: argparse.Namespace) -> None:
    if not options.image:
        raise McdError("--image: is missing; give a patient's images, or several patients by --patients")
    nifti_suffix(options.output, "--output ")
    check_output(options.output)
    if options.box and any(low >= high for low, high in zip(options.box[::2], options.box[1::2], strict=True)):
        raise McdError(
            "--box: each first number must be below its second, X1 < X2, Y1 < Y2, Z1 < Z2 in mm; exchange them"
        )


def _check_several(options: argparse.Namespace) -> None:
    if options.box:
        raise McdError("--box: is one patient's; give those of several in the column box of a sheet")
    if not options.patients.exists():
        raise McdError(f"--patients {options.patients}: no such sheet or folder; correct the path")
    if not options.patients.is_dir() and (options.image or options.mask):
        raise McdError(f"--{'image' if options.image else 'mask'}: the sheet {options.patients} has them; leave it out")
    check_output(options.output, folder=True)


def _one(options: argparse.Namespace, images: Mapping[str, Path]) -> "list[Subject]":
    from mcd.subject import Subject

    mask = Path(options.mask) if options.mask else None
    return [Subject("patient", dict(images), mask=mask, box=tuple(options.box) if options.box else None)]


def _several(options: argparse.Namespace, task: _Task, images: Mapping[str, Path]) -> "tuple[list[Subject], Faults]":
    """The patients of a sheet or a folder, and those who cannot be segmented; no two have files of one name."""
    from mcd.cohorts.new_patients import patients_of_folder, patients_of_sheet

    modalities = list(dict.fromkeys(model.modality for model in task.models))
    if options.patients.is_dir():
        patterns = {modality: str(pattern) for modality, pattern in images.items()}
        found, faults = patients_of_folder(options.patients, modalities, patterns, options.mask)
    else:
        found, faults = patients_of_sheet(options.patients, modalities)
    if task.probabilities:
        ids = {subject.id for subject in found}
        for clash in (name for one in sorted(ids) for region in task.regions if (name := f"{one}_{region}") in ids):
            raise McdError(f"--probabilities: {clash} would be a patient's file and another's of a region; rename one")
    return found, faults


def _segment_one(task: _Task, subject: "Subject", output: Path) -> None:
    for sentence in task.left_out(subject):
        _warn(sentence)
    found, written, lines = task.segment(subject, output)
    for sentence in found.warnings:
        _warn(sentence)
    for line in lines:
        print(line)
    for region, ml in found.millilitres.items():
        print(f"{region}: {ml:.2f} ml")
    print(f"written: {', '.join(map(str, written))}")


def _segment_several(task: _Task, subjects: "Sequence[Subject]", faults: "Faults", options: argparse.Namespace) -> None:
    """Segment patients one after the other, whoever fails; the summary is written anew after each."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    from mcd.csv_files import write_csv

    volumes = [f"{region}_ml" for region in task.regions]
    header = ["patient", "modalities", *volumes, "largest_component", "fill_holes", "warnings", "error"]
    done = [" ".join(regions) for regions in (task.after.largest_component, task.after.fill_holes)]
    failed = [(identifier, str(error)) for identifier, error in faults]
    rows = [[name, "", *[""] * len(volumes), *done, "", error] for name, error in failed]
    with logging_redirect_tqdm():
        for subject in tqdm(subjects, unit="patient", disable=None):
            ml, warnings, error = [""] * len(volumes), task.left_out(subject), ""
            try:
                found, _, _ = task.segment(subject, options.output / f"{subject.id}.nii.gz")
                ml = [f"{found.millilitres[region]:.6g}" for region in task.regions]
                warnings += found.warnings
            except McdError as problem:
                error = str(problem)
            except Exception as problem:  # a mistake of ours must not cost the patients that are still to come
                log.exception("%s: not segmented", subject.id)
                error = f"{type(problem).__name__}: {first_line(problem)}"
            if error:
                failed.append((subject.id, error))
            rows.append([subject.id, " ".join(subject.images), *ml, *done, "; ".join(warnings), error])
            write_csv([header, *sorted(rows)], options.output / SUMMARY)
    if not subjects:
        write_csv([header, *sorted(rows)], options.output / SUMMARY)
    written = [row for row in rows if not row[-1]]
    warned = sum(bool(row[-2]) for row in written)
    print(f"{options.output}: {len(written)} patients written, {warned} of them with warnings (in {SUMMARY})")
    for name, error in failed:
        print(f"{name}: {error}", file=sys.stderr)
    if failed:
        raise McdError(
            f"{options.patients}: {len(failed)} of {len(rows)} patients were not segmented (above); correct what is said of "
            "them, then run it again"
        )


def _warn(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr)


def by_modality(images: Sequence[str], modalities: Sequence[str]) -> Mapping[str, Path]:
    """Modality -> file, in the order given; an image without a modality takes that of the next model."""
    found: dict[str, Path] = {}
    waiting = list(dict.fromkeys(modalities))
    for text in images:
        name, named, rest = text.partition("=")
        modality, path = (name, rest) if named and name in modalities else (None, text)
        if modality is None:
            if named and not Path(text).exists():
                known = ", ".join(dict.fromkeys(modalities))
                raise McdError(f"--image {text}: the models are for {known}, not for {name}; name one of theirs")
            if not waiting:
                raise McdError(f"--image {text}: there is no model for it; give one by --model")
            modality = waiting[0]
        if modality in found:
            raise McdError(f"--image {text}: there is a {modality} image already; name each modality once")
        found[modality] = Path(path)
        if modality in waiting:
            waiting.remove(modality)
    return found

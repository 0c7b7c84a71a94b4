"""Segment a new patient."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mcd.cli.arguments import device, finite
from mcd.errors import McdError
from mcd.paths import check_output


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare this module's commands by `command(name, function, help)`."""
    sub = command(
        "predict", _predict, "Segment a new patient with one network, or with those of several modalities fused."
    )
    sub.add_argument(
        "--model", type=Path, action="append", required=True, help="checkpoint of a fine-tuning; one per modality"
    )
    sub.add_argument(
        "--image",
        action="append",
        required=True,
        metavar="[MODALITY=]FILE",
        help="NIfTI, NRRD, MetaImage or a folder with one DICOM series; the first one's grid is the output's. "
        "Without MODALITY, images go to the models in their order",
    )
    sub.add_argument("--output", type=Path, required=True, help="label map to write, .nii.gz or .nii")
    sub.add_argument("--mask", type=Path, help="where intensities count, for a network that was trained with masks")
    sub.add_argument(
        "--box",
        type=finite,
        nargs=6,
        metavar=("X1", "X2", "Y1", "Y2", "Z1", "Z2"),
        help="what to crop to, in mm (LPS), as HECKTOR's boxes; default the middle of the content and all slices",
    )
    sub.add_argument("--fuse", choices=["mean", "staple"], default="mean", help="(default %(default)s)")
    sub.add_argument("--probabilities", action="store_true", help="also write a NIfTI of probabilities for each region")
    sub.add_argument("--device", type=device, default="auto", help="auto, cpu, cuda or cuda:1 (default %(default)s)")


def _predict(options: argparse.Namespace) -> None:
    suffix = next((end for end in (".nii.gz", ".nii") if options.output.name.endswith(end)), None)
    if suffix is None:
        raise McdError(f"--output {options.output}: not a NIfTI file; name one that ends in .nii.gz or .nii")
    check_output(options.output)
    if options.box and any(low >= high for low, high in zip(options.box[::2], options.box[1::2], strict=True)):
        raise McdError(
            "--box: each first number must be below its second, X1 < X2, Y1 < Y2, Z1 < Z2 in mm; exchange them"
        )
    stem = options.output.with_name(options.output.name.removesuffix(suffix))

    from mcd.imaging.dicom_seg import can_write_seg, write_seg
    from mcd.imaging.write_volume import write_volume
    from mcd.prediction.masks import region_codes
    from mcd.prediction.origin import summary_line
    from mcd.prediction.patient import load_models, predict_patient
    from mcd.reporting.figures.prediction_sheet import draw_prediction
    from mcd.training.schedule import Compute

    compute = Compute(device=options.device)
    models = load_models(options.model, compute)
    images = by_modality(options.image, [model.modality for model in models])
    series = next(path for path in images.values())
    if series.is_dir() and not can_write_seg():
        _warn("no DICOM SEG will be written: it needs highdicom; pip install 'mcd[dicom]'")
    for model in models:
        if model.modality not in images:
            _warn(f"{model.name}: no {model.modality} image is given, so it is left out")
    found = predict_patient(models, images, mask=options.mask, box=options.box, how=options.fuse, compute=compute)
    for sentence in found.warnings:
        _warn(sentence)

    used = [model for model in models if model.modality in images]
    regions = used[0].description["regions"]
    write_volume(found.grid.image(region_codes(regions, found.masks)), options.output)
    written = [options.output]
    if options.probabilities:
        for region, probability in found.probabilities.items():
            written.append(stem.with_name(f"{stem.name}_{region}{suffix}"))
            write_volume(found.grid.image(probability), written[-1])
    if series.is_dir() and can_write_seg():
        written.append(stem.with_name(f"{stem.name}.dcm"))
        write_seg(found.masks, series, written[-1], f"Multi-ConDoS {', '.join(regions)}")
    lines = [summary_line(model.description) for model in used]
    if len(used) > 1:
        lines.append(f"Fused: {'mean probability' if options.fuse == 'mean' else 'STAPLE'}.")
    written.append(stem.with_name(f"{stem.name}.png"))
    draw_prediction(found.prepared, found.seen, found.millilitres, stem.name, lines, found.warnings, written[-1])
    for line in lines:
        print(line)
    for region, ml in found.millilitres.items():
        print(f"{region}: {ml:.2f} ml")
    print(f"written: {', '.join(map(str, written))}")


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

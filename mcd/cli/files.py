"""Inspect checkpoints, shards and DICOM labels; where a result comes from; a model's card, and the model as ONNX."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from mcd.errors import McdError
from mcd.paths import check_output


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare this module's commands by `command(name, function, help)`."""
    sub = command("inspect", _inspect, "Say what a checkpoint, a shard or a DICOM label is.")
    sub.add_argument("file", type=Path)

    sub = command("status", _status, "Say what a run of the workflow is doing: jobs, trainings, time left, warnings.")
    sub.add_argument("folder", type=Path, nargs="?", default=Path(), help="of the run (default: this one)")

    sub = command("trace", _trace, "Say what a result of the workflow was made from, down to the raw files.")
    sub.add_argument("result", type=Path, help="a file of a run's folder, such as results/table2.csv")
    sub.add_argument(
        "--row",
        nargs="+",
        default=[],
        metavar="WORD",
        help="of a table, what these words name alone: cohort, modality, pair, method, label ratio (0.05 or 5%%), seed0, "
        "draw1, fold1; or the number of a row of the CSV, from 1",
    )

    sub = command(
        "card", _card, "Write a model's card: what it is, what it was trained on, its scores, what it is not for."
    )
    sub.add_argument("model", type=Path, help="checkpoint of a fine-tuning")
    sub.add_argument("--output", type=Path, help="Markdown file to write; none for the terminal")
    _scores_option(sub)
    sub.add_argument("--licence", help="record this licence in the model file")

    sub = command(
        "share", _share, "Pack a pre-training for others: safe weights, card, licences, citation and checksums."
    )
    sub.add_argument("checkpoint", type=Path, help="of a pre-training")
    sub.add_argument("--config", type=Path, required=True, help="the configuration of its run")
    sub.add_argument("--output", type=Path, required=True, help="a zip or a folder to write")
    sub.add_argument("--licence", help="of the weights (default: the data's)")
    sub.add_argument("--data-licence", metavar="LICENCE", help="of the data, where `mcd fetch` has not brought it")
    sub.add_argument("--data-citation", metavar="TEXT", help="of the data, likewise")

    sub = command(
        "export", _export, "Write a model as ONNX, checked against torch, or an encoder for another library's network."
    )
    sub.add_argument("model", type=Path, help="checkpoint of a fine-tuning; with --encoder also of a pre-training")
    sub.add_argument("--output", type=Path, required=True, help="the file to write")
    _scores_option(sub)
    sub.add_argument("--encoder", action="store_true", help="the encoder alone, for the network that --to names")
    sub.add_argument("--to", choices=["monai", "smp", "nnunet"], help="of --encoder: the library")
    sub.add_argument("--modality", help="of --encoder: whose, where a pre-training has one for each modality")


def _scores_option(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--scores", type=Path, help="scores of the model's test, for its card (default scores.csv beside the model)"
    )


def _status(options: argparse.Namespace) -> None:
    from mcd.status import status

    for line in status(options.folder):
        print(line)


def _trace(options: argparse.Namespace) -> None:
    from mcd.trace import trace

    for line in trace(options.result, options.row):
        print(line)


def _inspect(options: argparse.Namespace) -> None:
    if options.file.suffix == ".h5":
        from mcd.slices.shards import Shards

        with Shards([options.file]) as shards:
            print(f"shard: {', '.join(shards.modalities)}; slices of {shards.size[0]} x {shards.size[1]} pixels")
            for subject in shards.subjects.values():
                print(f"  {subject.id}: {len(subject)} slices, spacing (z, y, x) {subject.spacing} mm")
        return
    if options.file.suffix in (".yaml", ".yml"):
        raise McdError(
            f"{options.file}: a configuration, and no checkpoint or shard; check its cohorts by mcd check-cohort --config "
            f"{options.file}, and what it asks for by snakemake -n --configfile {options.file}"
        )
    if _inspect_label(options.file):
        return
    from mcd.training.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.file)
    print(f"{checkpoint.kind} checkpoint")
    for name, state in checkpoint.weights.items():
        numbers = sum(tensor.numel() for tensor in state.values())
        print(f"  {name}: {len(state)} tensors, {numbers / 1e6:.2f} million numbers")
    short = {
        key: value for key, value in checkpoint.description.items() if key not in ("trained", "transferred", "card")
    }
    print(json.dumps(short, indent=2))


def _inspect_label(path: Path) -> bool:
    """Print what a DICOM SEG or RTSTRUCT holds; whether it is one."""
    from mcd.imaging.dicom_label import names_of_codes

    names = names_of_codes(path)
    if names:
        print("DICOM label; number and name of what it holds (preprocessing: label_names gives names codes):")
    for number, name in names.items():
        print(f"  {number}: {name or 'without a name'}")
    return bool(names)


def _card(options: argparse.Namespace) -> None:
    from mcd.files import write_text
    from mcd.prediction.card import record_licence, render, scores_of
    from mcd.training.checkpoint import load_checkpoint

    if options.output:
        check_output(options.output)
    if options.licence:
        record_licence(options.model, options.licence)
    checkpoint = load_checkpoint(options.model, "segmentation")
    text = render(checkpoint, scores_of(options.model, checkpoint.description, options.scores))
    if options.output is None:
        print(text, end="")
        return
    write_text(options.output, text)


def _share(options: argparse.Namespace) -> None:
    from mcd import plan
    from mcd.config import read_config
    from mcd.sharing.pack import is_simulated, pack, terms_of
    from mcd.training.checkpoint import load_checkpoint

    check_output(options.output, folder=options.output.suffix != ".zip")
    config = read_config(options.config)
    checkpoint = load_checkpoint(options.checkpoint, "pretraining")
    cohort = checkpoint.description.get("cohort")
    if cohort not in config.cohorts:
        raise McdError(f"{options.checkpoint}: of cohort {cohort}, which is not in {options.config}; give its --config")
    facts = plan.cohort_facts(config, cohort)
    simulated = is_simulated(options.checkpoint, checkpoint.description, facts["simulated"])
    if simulated and (options.data_licence or options.data_citation):
        raise McdError(f"--data-licence: {cohort} is simulated, under this project's own licence; leave it out")
    given = {"licence": options.data_licence, "citation": options.data_citation}
    data = {**facts.get("card", {}).get("data", {}), **{key: value for key, value in given.items() if value}}
    terms = terms_of(cohort, simulated, data, options.licence)
    pack(checkpoint, options.output, terms, config.cohorts[cohort].layout)
    print(f"{options.output}: weights {terms['licence']}; data {terms['data_licence']}")


def _export(options: argparse.Namespace) -> None:
    if options.encoder:
        _export_encoder(options)
        return
    if options.to or options.modality:
        raise McdError(f"--{'to' if options.to else 'modality'}: is for an encoder; add --encoder, or leave it out")
    from mcd.prediction.onnx import export_onnx

    check_output(options.output)
    difference = export_onnx(options.model, options.output, options.scores)
    print(f"{options.output}: probabilities in onnxruntime differ from torch's by {difference:.1e} at most")


def _export_encoder(options: argparse.Namespace) -> None:
    from mcd.prediction.other_libraries import export_encoder

    if options.to is None:
        raise McdError("--encoder: is for another library; name it by --to")
    if options.scores:
        raise McdError("--scores: are a whole model's; leave them out")
    check_output(options.output)
    print(export_encoder(options.model, options.to, options.output, options.modality), end="")

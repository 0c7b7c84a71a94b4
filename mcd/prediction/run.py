"""Predicting the test patients: what the workflow's rules and the command line both call."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mcd.prediction.masks import write_predictions
from mcd.prediction.slices import BATCH_SIZE, load_network, predict_slices
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import Part, held_out
from mcd.training.device import prepare
from mcd.training.history import LENGTH
from mcd.training.schedule import Compute
from mcd.version import UNKNOWN, code_version, lineage


def predict_test(
    *,
    shards: Sequence[str | Path],
    split: str | Path,
    model: str | Path,
    predictions: str | Path,
    keep_probabilities: bool = False,
    part: Part = "test",
    batch_size: int = BATCH_SIZE,
    compute: Compute | None = None,
) -> None:
    """Predict every slice of every test subject (Sec. V, "Evaluation"); no label is read.

    Args:
        model: checkpoint of a fine-tuning.
        predictions: HDF5 to write (docs/reference/formats.md), which `mcd.prediction.score` scores.
        keep_probabilities: also store them, for a fusion by their mean.
        part: `validation` for those by whom settings are chosen, in place of the test subjects.
    """
    compute = compute or Compute()
    device = prepare(compute)
    network, description = load_network(model, device)

    with Shards(shards) as opened:

        def predicted() -> Iterator[tuple[str, np.ndarray]]:
            for subject in held_out(split, part)[1]:
                slices = SliceSet(opened, [subject], [description["modality"]], select="all", device=device)
                yield subject, predict_slices(network, slices, batch_size, compute)

        write_predictions(
            predicted(),
            description["regions"],
            predictions,
            keep_probabilities=keep_probabilities,
            version=lineage(description.get("mcd_version", UNKNOWN), code_version()),
            length={measure: description[measure] for measure in LENGTH if measure in description},
        )

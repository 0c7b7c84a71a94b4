"""What `test_processes.py` has trained by one process and by two: `python several_processes.py PROCESSES FOLDER CASE...`.

Pre-trains each case, `algorithm/precision`, on the tiny cohort in FOLDER into FOLDER/<processes>/<algorithm>_<precision>.pt.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mcd.distributed.processes import launch, own_gpu, started_together, together
from mcd.pretraining import run as pretraining_run
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.training import loop
from mcd.training.history import History
from mcd.training.method import Method
from mcd.training.schedule import Compute

SMALL: dict[str, dict[str, Any]] = {
    "dsgan": {"discriminator_filters": 4},
    "jigsaw": {"embedding": 16, "permutations": 20},
    "swav": {"queue": 12, "queue_start": 0.3, "prototypes": 8},
}
BATCH = 7
"""Which two processes cannot halve."""


def to_the_weights_precision(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Batches and views come in single precision."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, torch.Tensor):
        return tuple(x.to(weight) if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in inputs)
    return None


def train_in_double(method: Method, *positional: Any, **named: Any) -> History:
    return loop.train(method.double(), *positional, **named)


def train(folder: Path, case: str, **more: Any) -> Path:
    """Pre-train one case with the processes there are; the checkpoint, with the losses as JSON beside it."""
    algorithm, precision = case.split("/")
    output = folder / str(started_together()) / f"{algorithm}_{precision}.pt"
    output.parent.mkdir(exist_ok=True)  # the second process may be done before the first has written
    double = precision == "double"
    pretraining_run.train = train_in_double if double else loop.train  # type: ignore[attr-defined]
    history = pretrain(
        PretrainingTask(
            algorithm=algorithm,
            options=SMALL.get(algorithm, {}),
            modalities=("A", "B"),
            filters=2,
            epochs=2,
            batch_size=BATCH,
            steps_per_epoch=2,
        ),
        shards=sorted(folder.glob("*.h5")),
        split=folder / "split.json",
        output=output,
        compute=Compute(device="cpu"),
        **more,
    )
    output.with_suffix(f".{own_gpu()}.json").write_text(json.dumps(history))
    return output


def train_all(folder: Path, cases: list[str]) -> None:
    nn.modules.module.register_module_forward_pre_hook(to_the_weights_precision)  # type: ignore[arg-type]
    with together(torch.device("cpu")):  # gloo joins processes once
        for case in cases:
            train(folder, case)


if __name__ == "__main__":
    launch(int(sys.argv[1]), train_all, folder=Path(sys.argv[2]), cases=sys.argv[3:])

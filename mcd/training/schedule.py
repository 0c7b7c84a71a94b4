"""How long, how fast, and on what a training runs. No torch: see `mcd.training.device` for what is done with it."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mcd.section import NUMBER, Count, Number, Section, Weight, Whole

Beta = Annotated[float, Field(ge=0, lt=1), NUMBER]


class Optimisation(Section):
    """The step sizes of Adam."""

    learning_rate: Number = Field(2e-4, gt=0, description="of Adam (paper Sec. V)")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="of Adam (its default)")
    weight_decay: Weight = Field(0.0, description="of Adam")
    weight_decay_form: Literal["coupled", "decoupled"] = Field(
        "coupled",
        description=(
            "`coupled`, part of the gradient, as in the Adam of the paper's PyTorch 1.6; or `decoupled`, as AdamW (Loshchilov "
            "and Hutter, ICLR 2019). Adam scales a coupled decay up where gradients are small, so that at a high rate it wipes "
            "out layers that hardly learn"
        ),
    )
    decay: Literal["constant", "cosine"] = Field("constant", description="of the learning rate after the warm-up, to 0")
    warmup_epochs: Whole = Field(0, ge=0, description="epochs over which the learning rate rises linearly from 0")

    def step_sizes(self) -> dict[str, object]:
        """The options above, without those of a subclass."""
        return self.model_dump(include=set(Optimisation.model_fields))


class Schedule(Optimisation):
    """Length and step size of a training."""

    epochs: Count = Field(..., description="passes over the slices, or blocks of `steps_per_epoch` steps")
    batch_size: Count = Field(..., description="slices (pairs) in a step")
    # A small budget is better given in steps: five per cent of a small cohort would make an epoch of one or two.
    steps_per_epoch: Count | None = Field(None, description="whatever the number of slices; null: one pass over them")

    @model_validator(mode="after")
    def _warms_up_in_time(self) -> Self:
        check_warmup(self.warmup_epochs, self.epochs)
        return self

    def rate(self, epoch: float) -> float:
        """The factor on the learning rate at a moment given in epochs since the start."""
        if epoch < self.warmup_epochs:
            return epoch / self.warmup_epochs
        if self.decay == "constant":
            return 1.0
        done = (epoch - self.warmup_epochs) / max(self.epochs - self.warmup_epochs, 1e-9)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def check_warmup(warmup_epochs: int, epochs: int) -> None:
    """Raise ValueError for a warm-up that is longer than the training."""
    if warmup_epochs > epochs:
        raise ValueError(f"warmup_epochs: {warmup_epochs} is more than the training's {epochs} epochs; lower it")


LONG = 20_000
"""Steps from which `compile: auto` compiles: as many as earn three minutes of compiling back where a step of 90 ms
(benchmarks/GPU.md) becomes a tenth faster. Our estimate; neither was measured on its own."""


class Compute(Section):
    """Where and how networks are trained. Changes speed and the last digits, never what is learnt."""

    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description=(
            "`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`; processes that train "
            "together take a GPU each (jobs that go to a cluster "
            "ask for a GPU with `auto` too (clusters); `cuda` is refused where there is none)"
        ),
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description=(
            "`auto` (bf16 on a GPU that has it, else fp32), `fp32`, `bf16` (losses are computed in "
            "single precision in any case)"
        ),
    )
    threads: Count = Field(
        1,
        description=(
            "CPU threads of a training (sums depend on it in the last digit, so it is set here and "
            "not by the cores that are free: `--cores 1` and `--cores 8` give the same table)"
        ),
    )
    compile: Literal["auto", "graphs"] | bool = Field(
        False,
        description=(
            "run `torch.compile` on the convolution blocks (compiling takes time at the start, which "
            "only long trainings earn back). `auto`: on a GPU, in trainings of 20,000 steps and more of one process. "
            "`graphs`: compiled, and the kernels of each block replayed as one CUDA graph, for small networks that wait for "
            "the processor; refused without a GPU. `true` was measured on a GPU too briefly for `auto` to be the default, and "
            "`graphs` not at all: the page on performance"
        ),
    )
    cudnn_benchmark: bool = Field(
        False,
        description=(
            "let cuDNN try its algorithms on this GPU and take the fastest, of those that give the same digits twice "
            "(another run may take another one, and end with other last digits)"
        ),
    )
    memory_limit_gb: Number = Field(
        8.0,
        ge=0,
        description=(
            "slices are held in the device's memory up to this, and streamed from the shards beyond "
            "(`configs/paper.yaml` has 16)"
        ),
    )
    logger: Literal["tensorboard", "wandb", "mlflow"] | None = Field(
        None,
        description=(
            "where losses and example images of trainings go besides their own files, as they come: TensorBoard, Weights & "
            "Biases or MLflow, each of which has to be installed; null: nowhere. Changing it trains nothing again"
        ),
    )

"""What all trainings share in the configuration."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mcd.config.cohort import Ratio, at_ratio
from mcd.paths import of_configuration
from mcd.section import Count, Number, Positive, Probability, Section, Whole
from mcd.segmentation.options import PRIOR
from mcd.slices.options import Augmentation
from mcd.training.schedule import Optimisation, Schedule, check_warmup


class PretrainingLength(Section):
    """What all pre-training methods share (paper Sec. V)."""

    epochs: Count = Field(200, description="passes over the slices (paper)")
    steps_per_epoch: Count | None = Field(
        None, description="steps in an epoch, whatever the number of slices; null for one pass"
    )
    sees: Literal["own", "both"] = Field(
        "own",
        description=(
            "what a single-modal method is trained on. `own`: one training per modality, on its slices. "
            "`both`: one training on both modalities' slices, whose network then serves both (our "
            "choice: gives each method what its own paper had)"
        ),
    )


class Finetuning(Optimisation):
    """Supervised fine-tuning (paper Sec. V), and training from scratch."""

    epochs: Count = Field(70, description="passes over the labelled slices (paper)")
    steps_per_epoch: Count | Annotated[dict[Ratio, Count], Field(min_length=1)] | None = Field(
        None,
        description=(
            "steps in an epoch; null for one pass. One number, or label ratio -> number (another "
            "ratio takes the next lower one's). A small budget is better given in steps: with 5 % of a "
            "small cohort an epoch has one or two. A method whose batches also hold slices without a target or "
            "without a label takes as many more as show it labelled slices with a target equally often"
        ),
    )
    weight_decay: Number = Field(1e-4, ge=0, description="of Adam (paper)")
    transferred_rate: Positive = Field(
        1.0,
        description=(
            "factor on the learning rate of layers that come from pre-training; below 1 they keep more of it (the paper speaks "
            "of one rate)"
        ),
    )
    prior_probability: Probability = Field(
        PRIOR,
        description=(
            "how probable every region is everywhere before the first step, by the output layer's bias (Lin et al., ICCV 2017, "
            "4.1, who take 0.01; the value is ours). 0.5 is what a new layer says without it"
        ),
    )
    warmup_epochs: Whole = Field(
        5,
        ge=0,
        description=(
            'epochs over which the rate rises from 0 (paper says "warmup-cosine-lr"; its length is our choice)'
        ),
    )
    decay: Literal["constant", "cosine"] = Field(
        "cosine", description="`cosine` to 0 after the warm-up, or `constant` (paper)"
    )
    augmentation: Augmentation = Field(
        default_factory=Augmentation,
        description="random transformations, the same for every method (our choice: the paper names none)",
    )

    @model_validator(mode="after")
    def _warms_up_in_time(self) -> Self:
        check_warmup(self.warmup_epochs, self.epochs)
        return self

    def schedule(self, ratio: float, batch_size: int) -> Schedule:
        """The schedule of a training at a label ratio."""
        steps = self.steps_per_epoch
        return Schedule.model_validate(
            {
                **self.step_sizes(),
                "epochs": self.epochs,
                "batch_size": batch_size,
                "steps_per_epoch": at_ratio(steps, ratio) if isinstance(steps, dict) else steps,
            }
        )


class TranslationScores(Section):
    """How translated images are scored (Table IV)."""

    inception: str | None = Field(
        None,
        description=(
            "the network of FID: the TorchScript file `inception-2015-12-05.pt` of NVIDIA's StyleGAN "
            "repositories, which contains FID's Inception-v3 with its own resizing and scaling. Null: "
            "EfficientNet-Lite0, trained on ImageNet, from an installed package (paper: FID, "
            "weights not named. Only Inception's FID is comparable with the printed numbers, so the table names "
            "the network)"
        ),
    )

    @property
    def inception_file(self) -> Path | None:
        return of_configuration(self.inception) if self.inception else None

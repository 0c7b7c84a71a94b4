"""What all trainings share in the configuration."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mcd.config.cohort import Ratio, at_ratio, expand
from mcd.section import Count, Section
from mcd.slices.options import Augmentation
from mcd.training.schedule import Optimisation, Schedule, check_warmup


class PretrainingLength(Section):
    """What all pre-training methods share (paper Sec. V)."""

    epochs: Count = Field(200, description="passes over the slices, or blocks of steps_per_epoch steps")
    steps_per_epoch: Count | None = Field(None, description="null: one pass over the slices")
    sees: Literal["own", "both"] = Field(
        "own",
        description="what a single-modal method is shown: own: one training per modality, on its slices; both: one training "
        "on both modalities' slices. The paper does not say; own gives each method what its paper had",
    )


class Finetuning(Optimisation):
    """Supervised fine-tuning (paper Sec. V), and training from scratch."""

    epochs: Count = Field(70, description="passes over the labelled slices, or blocks of steps_per_epoch steps")
    steps_per_epoch: Count | Annotated[dict[Ratio, Count], Field(min_length=1)] | None = Field(
        None,
        description="null: one pass over the labelled slices; one number, or label ratio -> number as in batch_size",
    )
    weight_decay: float = Field(1e-4, ge=0, description="of Adam (paper Sec. V)")
    warmup_epochs: int = Field(5, ge=0, description="of warmup-cosine-lr (its length is our choice)")
    decay: Literal["constant", "cosine"] = Field("cosine", description="after the warm-up (paper Sec. V)")
    augmentation: Augmentation = Field(default_factory=Augmentation)

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
    """How translated images are judged (Table IV)."""

    inception: str | None = Field(
        None,
        description="TorchScript file of FID's Inception network; ~ and $VARIABLES are expanded. null: EfficientNet-Lite0",
    )

    @property
    def inception_file(self) -> Path | None:
        return expand(self.inception) if self.inception else None

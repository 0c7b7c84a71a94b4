"""Options of the algorithms that learn to segment. No torch: a configuration is checked with them before anything runs.

A class's `PUBLISHED` says what its method's authors use, and why ours is another where it is (`mcd.published`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from mcd.published import Published
from mcd.section import (
    Count,
    Number,
    Positive,
    PositiveRange,
    PositiveShare,
    Probability,
    Section,
    Share,
    ShareRange,
    Weight,
    Whole,
)
from mcd.slices.options import Augmentation
from mcd.training.schedule import Schedule

PRIOR = 0.25
"""How probable every pixel of every region is before the first step. Ours: of 0.5, 0.25, 0.1 and Lin et al.'s 0.01 (ICCV 2017,
4.1) that with the best mean DSC from scratch and from pre-trained weights, on brains whom no study is judged by; three seeds do
not decide it (docs/explanation/results.md)."""

_SSL4MIS = "Luo et al., their code SSL4MIS (train_mean_teacher_2D.py)"
_DTML = "Zhang and Zhang, 2021, their code (train_la_dtml.py)"
_SASS = "Li et al., MICCAI 2020, their code (train_gan_sdfloss.py)"
_BCP = "Bai et al., CVPR 2023, their code (ACDC_BCP_train.py)"
_UNIMATCH = "Yang et al., CVPR 2023, their code (more-scenarios/medical)"


class SegmentationOptions(Section):
    """What an algorithm lets the configuration set: nothing, unless a subclass adds it."""

    PUBLISHED: ClassVar[Mapping[str, Published]] = {}


class SupervisedOptions(SegmentationOptions):
    """Options of supervised learning: of Fully Supervised, and of the fine-tuning of every pre-training."""

    slices: Literal["target", "content"] = Field(
        "target",
        description="which slices of the labelled patients: those with a `target`, or all with `content`, the control of the "
        "semi-supervised methods",
    )

    PUBLISHED: ClassVar[Mapping[str, Published]] = {"slices": Published("target", "Multi-ConDoS, Sec. V")}


class SemiSupervisedOptions(SegmentationOptions):
    """Options of all semi-supervised algorithms."""

    ramp: PositiveShare = Field(
        1.0,
        description="share of the training over which the weight of the loss on unlabelled slices rises from e^-5 of its "
        "value to all of it",
    )

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "ramp": Published(1.0, "the three published codes: 30,000 of 30,000, or 6,000 of 6,000 iterations"),
    }


class MeanTeacherOptions(SemiSupervisedOptions):
    """Options of MT."""

    consistency: Weight = Field(0.1, description="weight of the consistency at the end of the ramp")
    start: Share = Field(
        1 / 30, description="share of the training before which the weight is 0, while the teacher is still poor"
    )
    decay: Share = Field(0.99, description="of the moving average, once it is warm")
    noise: Weight = Field(
        0.1,
        description="sd of the Gaussian noise on the teacher's images, as a share of the volume's range between its "
        "percentiles",
    )
    noise_bound: Weight = Field(0.2, description="largest noise, as such a share")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "consistency": Published(0.1, _SSL4MIS),
        "start": Published(1 / 30, f"{_SSL4MIS}: 1,000 of 30,000 iterations"),
        "decay": Published(0.99, _SSL4MIS),
        "noise": Published(0.1, f"{_SSL4MIS}, of images scaled to 0..1"),
        "noise_bound": Published(0.2, f"{_SSL4MIS}, of images scaled to 0..1"),
    }


class DTMLOptions(SemiSupervisedOptions):
    """Options of DTML."""

    consistency: Weight = Field(1.0, description="weight of the consistency at the end of the ramp")
    regression: Weight = Field(0.0, description="weight of the distance maps' own error (see the module)")
    sharpness: Positive = Field(1500.0, description="k of the sigmoid that turns a map into a mask")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "consistency": Published(1.0, f"{_DTML}, which back-propagates it twice and so runs with 2"),
        "regression": Published(0.0, f"{_DTML}, which computes the term and leaves it out"),
        "sharpness": Published(1500.0, _DTML),
    }


class SASSOptions(SemiSupervisedOptions):
    """Options of SASS."""

    adversarial: Weight = Field(0.01, description="weight of the adversarial loss at the end of the ramp")
    regression: Weight = Field(0.3, description="weight of the distance maps' error")
    discriminator_filters: Count = Field(64, description="channels of the discriminator's first layer")
    dropout: Number = Field(0.5, ge=0, lt=1, description="of the discriminator's channels")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "adversarial": Published(0.01, f"{_SASS} (consistency)"),
        "regression": Published(0.3, f"{_SASS} (beta)"),
        "discriminator_filters": Published(64, _SASS),
        "dropout": Published(0.5, _SASS),
    }


class BCPOptions(SegmentationOptions):
    """Options of BCP."""

    labelled_alone: Share = Field(
        0.25, description="share of the training, from its start, that pastes labelled slices into each other"
    )
    unlabelled: Weight = Field(0.5, description="weight of the loss on the teacher's regions")
    side: Number = Field(2 / 3, gt=0, lt=1, description="height and width of the rectangle, as a share of the slice's")
    decay: Share = Field(0.99, description="of the moving average")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "labelled_alone": Published(0.25, f"{_BCP}: 10,000 of 40,000 iterations (as it runs, half of 60,000)"),
        "unlabelled": Published(0.5, _BCP),
        "side": Published(2 / 3, _BCP),
        "decay": Published(0.99, _BCP),
    }


class UniMatchOptions(SegmentationOptions):
    """Options of UniMatch."""

    confidence: Number = Field(
        0.95, ge=0.5, le=1, description="smallest probability of what is learnt from, for a region or against it"
    )
    views: Weight = Field(0.5, description="weight of the loss on the two strong views, averaged")
    features: Weight = Field(0.5, description="weight of the loss on spoilt features")
    dropout: Number = Field(0.5, ge=0, lt=1, description="share of the channels that are dropped from features")
    brightness: Weight = Field(0.25, description="largest change of brightness, as a share of the volume's range")
    contrast: Share = Field(0.5, description="largest relative change of contrast, about the volume's mean")
    jittered: Share = Field(0.8, description="probability of another brightness and contrast")
    blur: Weight = Field(1.25, description="largest sd of a Gaussian blur, in pixels; from 0.1 up")
    blurred: Share = Field(0.5, description="probability of a blur")
    cutmix: Share = Field(0.5, description="probability of a box from another slice")
    cutmix_area: ShareRange = Field((0.02, 0.4), description="area of a box, as a share of the slice's")
    cutmix_aspect: PositiveRange = Field((0.3, 1 / 0.3), description="ratio of a box's height to its width")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "confidence": Published(0.95, _UNIMATCH),
        "views": Published(0.5, f"{_UNIMATCH}: 0.25 for each"),
        "features": Published(0.5, _UNIMATCH),
        "dropout": Published(0.5, _UNIMATCH),
        "brightness": Published(
            "factor 0.5 to 1.5",
            f"{_UNIMATCH}, of images scaled to 0..1",
            "moves mid-grey as far; z-scores have no black",
        ),
        "contrast": Published(0.5, _UNIMATCH),
        "jittered": Published(0.8, _UNIMATCH),
        "blur": Published("2, of 256 pixels", _UNIMATCH, "as much of 160 pixels"),
        "blurred": Published(0.5, _UNIMATCH),
        "cutmix": Published(0.5, _UNIMATCH),
        "cutmix_area": Published((0.02, 0.4), _UNIMATCH),
        "cutmix_aspect": Published((0.3, 1 / 0.3), _UNIMATCH),
    }


class FinetuningTask(Section):
    """What determines the weights of a fine-tuning, apart from the slices and the initial weights."""

    algorithm: str = Field("supervised", description="a key of `mcd.segmentation.registry.REGISTRY`")
    options: dict[str, Any] = Field(default_factory=dict, description="of the algorithm")
    modality: str
    regions: dict[str, list[int]] = Field(..., description="region -> the label codes that make it up")
    label_ratio: PositiveShare = Field(..., description="share of the training subjects whose labels are used")
    filters: Count = Field(..., description="f of Table I")
    prior_probability: Probability = Field(PRIOR, description="of every region everywhere, before the first step")
    depth: Whole = Field(3, ge=0, description="layers of the decoder that are transferred (Table VIII)")
    transferred_rate: Positive = Field(1.0, description="factor on the learning rate of transferred layers")
    schedule: Schedule
    augmentation: Augmentation = Field(default_factory=Augmentation)
    seed: Whole = Field(0, ge=0)

"""Options of the pre-training algorithms. No torch: a configuration is checked with them before anything runs.

A class's `PUBLISHED` says what its method's authors use, and why ours is another where it is (`mcd.published`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mcd.published import Published, ours
from mcd.section import (
    Count,
    CountRange,
    Number,
    Positive,
    PositiveRange,
    PositiveShare,
    Section,
    Share,
    ShareRange,
    Weight,
    Whole,
)
from mcd.training.schedule import Beta, Optimisation, Schedule

Decay = Literal["constant", "cosine"]

PAPER = "Multi-ConDoS, Sec. V"
_ONE_ADAM = "one Adam at the paper's rate for all (Sec. V)"
_NO_LARS = f"{_ONE_ADAM}; LARS is for batches of thousands"
_KOLESNIKOV = "Kolesnikov et al., CVPR 2019, their code"
_LOEWE = "Loewe et al., NeurIPS 2019, their code"
_SIMCLR = "Chen et al., ICML 2020, and their code"
_BYOL = "Grill et al., NeurIPS 2020, and their code (100 epochs)"
_SWAV = "Caron et al., NeurIPS 2020, their code (swav_200ep_bs256_pretrain.sh)"
_GL = "Chaitanya et al., NeurIPS 2020, their code"
_CONTIG = "Taleb et al., CVPR 2022, their code"
_VICREG = "Bardes et al., ICLR 2022, and their code"
_NNSSL_MAE = "Wald et al., CVPR 2025, their code nnssl (BaseMAETrainer)"
_MISFM = "Wang et al., arXiv 2306.16925, as in nnssl (VolumeFusionTrainer)"
_BRAINMVP = "Rui et al., CVPR 2025, their code (do_pretrain.sh, Uniformer.py)"


class PretrainingOptions(Optimisation):
    """Options of every pre-training method; the defaults are those of the paper's Sec. V."""

    PUBLISHED: ClassVar[Mapping[str, Published]] = {}

    def schedule(self, epochs: int, batch_size: int, steps_per_epoch: int | None) -> Schedule:
        """The training schedule: the method's step sizes, and the length and batch that all methods share."""
        length: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "steps_per_epoch": steps_per_epoch}
        return Schedule.model_validate({**self.step_sizes(), **length})


class ViewOptions(Section):
    """How much a view may differ from its slice. To be inherited by a method's options; 0 switches a transformation off."""

    crop: ShareRange = Field(
        (0.25, 1.0), description="smallest and largest area of a crop, as a share of the body's bounding box"
    )
    aspect: PositiveRange = Field(
        (3 / 4, 4 / 3), description="smallest and largest ratio of width to height by which a crop is distorted"
    )
    tissue: Share = Field(0.3, description="smallest share of tissue in a crop, if one of the positions tried has it")
    mirror: Share = Field(0.5, description="probability of a left-right mirror image")
    brightness: Weight = Field(
        0.3, description="largest offset, as a share of the volume's range between its percentiles"
    )
    contrast: Share = Field(0.3, description="largest relative change of contrast, about the volume's mean")
    gamma: Number = Field(
        1.5, ge=1, description="largest exponent; drawn between its inverse and itself, on the tissue's own range"
    )
    noise: Weight = Field(0.025, description="largest sd of Gaussian noise, as a share of the volume's range")
    blur: Weight = Field(1.0, description="largest sd of a Gaussian blur, in pixels of the view; from 0.1 up")
    blurred: Share = Field(0.5, description="probability of a blur")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "crop": Published(
            (0.08, 1.0), _SIMCLR, "0.08 of a photograph leaves too little of a 64-pixel slice; G-L has 0.27"
        ),
        "aspect": Published((3 / 4, 4 / 3), _SIMCLR),
        "tissue": ours("much of a slice is background, so that a random crop is often empty"),
        "mirror": Published(0.5, _SIMCLR),
        "brightness": Published(0.3, _GL),
        "contrast": Published(0.3, _GL),
        "gamma": ours("as nnU-Net's augmentation; there is no colour to change"),
        "noise": ours("about a tenth of a volume's standard deviation; there is no colour to change"),
        "blur": Published(2.0, _SIMCLR, "of 224 pixels, where a slice has 48 to 160"),
        "blurred": Published(0.5, _SIMCLR),
    }


class DSGANOptions(PretrainingOptions):
    """Options of DSGAN."""

    betas: tuple[Beta, Beta] = Field((0.5, 0.999), description="of Adam")
    shared: Whole = Field(1, ge=0, le=3, description="k of SL_ku^kd: shared down and up layers, 0 to 3")
    adversarial: Weight = Field(1.0, description="weight of L_GAN")
    translation: Weight = Field(10.0, description="weight of L_T")
    reconstruction: Weight = Field(1.0, description="weight of L_R")
    contrastive: Weight = Field(0.1, description="weight of L_C")
    adversarial_form: Literal["log", "least_squares"] = Field(
        "log",
        description=(
            "`log` (Eq. 4) or `least_squares` (LSGAN); for the generator the non-saturating form, since with the printed "
            "one it gets no gradient from a discriminator that wins"
        ),
    )
    feature_loss: Literal["contrastive", "l1", "mse"] = Field(
        "contrastive", description="loss on the paired features: `contrastive`, or `l1` or `mse` as in Fig. 7"
    )
    feature: Literal["up_layer", "bottleneck"] = Field(
        "up_layer",
        description=(
            "what L_C compares: the output of the last shared `up_layer` (up layer 1 if none is shared) or the `bottleneck`"
        ),
    )
    temperature: Positive = Field(0.1, description="t of Eq. 2")
    discriminator_filters: Count = Field(64, description="of the 70 x 70 PatchGAN")
    batches: Literal["shuffled", "spread"] = Field(
        "shuffled",
        description=(
            "`shuffled`, or `spread`: no neighbouring slices of a patient in a batch, as the contrastive baselines have it, "
            "since L_C makes all slices of a batch each other's negatives"
        ),
    )
    shift: Share = Field(
        0.0,
        le=0.5,
        description=(
            "largest shift of the pair, as a share of the slice, drawn for each branch by itself: L_C then compares slices "
            "that lie at different places, and cannot match their silhouettes, which ContIG's independent crops prevent"
        ),
    )

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published(2e-4, PAPER),
        "betas": ours("as pix2pix and CycleGAN"),
        "shared": Published(1, "Multi-ConDoS, Table I and Sec. V-C"),
        "adversarial": Published(1.0, "Multi-ConDoS, Eq. 7"),
        "translation": Published(10.0, PAPER),
        "reconstruction": Published(1.0, PAPER),
        "contrastive": Published(0.1, PAPER),
        "adversarial_form": Published("log", "Multi-ConDoS, Eq. 4"),
        "feature_loss": Published("contrastive", "Multi-ConDoS, Eq. 2"),
        "feature": ours('the features come "from E and SL" (Sec. IV-B), and SL ends there'),
        "temperature": Published(0.1, PAPER),
        "discriminator_filters": ours("as pix2pix; the paper names no architecture"),
        "batches": ours("the paper speaks of no order"),
        "shift": ours("the paper speaks of no augmentation"),
    }

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        if not (self.adversarial or self.translation or self.reconstruction or self.contrastive):
            raise ValueError(
                "adversarial, translation, reconstruction, contrastive: all weights are 0; set one of them above 0"
            )
        return self


class RotationOptions(PretrainingOptions):
    """Options of Rotation."""

    copies: Literal["all", "one"] = Field(
        "all",
        description="`all` four rotations of each slice in every batch, or `one` at random, at a quarter of the cost",
    )

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("SGD 0.1, in steps", "Gidaris et al., ICLR 2018, their code", _ONE_ADAM),
        "copies": Published("all", "Gidaris et al., their code; `one` is Taleb et al.'s, NeurIPS 2020"),
    }


class JigsawOptions(PretrainingOptions):
    """Options of Jigsaw."""

    permutations: Whole = Field(100, ge=2, description="N, the number of orders")
    tile_share: PositiveShare = Field(64 / 85, description="side of a tile, as a share of its cell's")
    embedding: Count = Field(1000, description="length of a tile's embedding, with batch norm and ReLU")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("SGD", "Noroozi and Favaro, ECCV 2016", _ONE_ADAM),
        "permutations": Published(
            1000, "Noroozi and Favaro (up to)", "100 as Kolesnikov et al. and Taleb et al.: there are fewer images here"
        ),
        "tile_share": Published(64 / 85, "Noroozi and Favaro: 64 of 85 pixels"),
        "embedding": Published(1000, "Goyal et al., ICCV 2019, their code VISSL"),
    }


class MJigsawOptions(PretrainingOptions):
    """Options of M-Jigsaw."""

    grid: Whole = Field(3, ge=2, description="tiles along a side")
    iterations: Count = Field(20, description="of the Sinkhorn operator")
    temperature: Positive = Field(1.0, description="by which scores are divided")
    tile_share: PositiveShare = Field(
        1.0, description="side of a tile, as a share of its cell's; below 1 it lies at random in its cell, with gaps"
    )

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": ours(f"{_ONE_ADAM}; no code is published"),
        "grid": ours("as Jigsaw's; the paper (Taleb et al., IPMI 2021) varies it, and no code is published"),
        "iterations": Published(20, "Mena et al., ICLR 2018, for puzzles"),
        "temperature": Published(1.0, "Mena et al., ICLR 2018, for puzzles"),
        "tile_share": ours("the paper speaks of no gaps, without which edges give some of the order away"),
    }


class ExemplarOptions(PretrainingOptions, ViewOptions):
    """Options of Exemplar, and of its views."""

    margin: Weight = Field(0.5, description="of the triplet loss")
    embedding: Count = Field(1000, description="length of an embedding")
    negatives: Literal["derangement", "semi_hard"] = Field(
        "semi_hard", description="`semi_hard` in the batch, or a `derangement` of it, as Taleb et al. (NeurIPS 2020)"
    )

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("SGD", _KOLESNIKOV, _ONE_ADAM),
        "margin": Published(0.5, _KOLESNIKOV),
        "embedding": Published(1000, _KOLESNIKOV),
        "negatives": Published("semi_hard", _KOLESNIKOV),
    }


class CPCOptions(PretrainingOptions):
    """Options of CPC."""

    steps: Whole = Field(5, ge=1, le=5, description="rows predicted, 1 to 5: all that 7 rows allow")
    negatives: Count = Field(16, description="of each prediction")
    context_layers: Count = Field(5, description="residual blocks of the context network")
    tissue: Share = Field(0.05, description="smallest share of tissue in a patch that is used")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published(2e-4, _LOEWE),
        "steps": Published(5, _LOEWE),
        "negatives": Published(16, _LOEWE),
        "context_layers": Published(5, "Henaff et al., ICML 2020, appendix"),
        "tissue": ours("all patches without tissue are alike"),
    }


class JointEmbeddingOptions(ViewOptions, PretrainingOptions):
    """Options of the methods that compare views, beside those of the views: step sizes that their authors agree on."""

    weight_decay: Weight = Field(1e-6, description="of Adam")
    decay: Decay = Field("cosine", description="of the learning rate, to 0")


class SimCLROptions(JointEmbeddingOptions):
    """Options of SimCLR, beside those of its views."""

    temperature: Positive = Field(0.1, description="t")
    projection: Count = Field(128, description="length of z")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("LARS, 0.3 x batch / 256, after a warm-up", _SIMCLR, _NO_LARS),
        "weight_decay": Published(1e-6, _SIMCLR),
        "decay": Published("cosine", _SIMCLR),
        "temperature": Published(0.1, f"{_SIMCLR}, for ImageNet"),
        "projection": Published(128, _SIMCLR),
    }


class BYOLOptions(JointEmbeddingOptions):
    """Options of BYOL, beside those of its views."""

    blurred: Share = Field(1.0, description="probability of a blur in one view")
    blurred_other: Share = Field(0.1, description="probability of a blur in the other view")
    momentum: Share = Field(0.99, description="tau_0; the authors' 0.996 is for 1000 epochs")
    projection: Count = Field(256, description="length of z and q")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("LARS, 0.45 x batch / 256, after a warm-up", _BYOL, _NO_LARS),
        "weight_decay": Published(1e-6, _BYOL),
        "decay": Published("cosine", _BYOL),
        "blurred": Published(1.0, _BYOL),
        "blurred_other": Published(0.1, _BYOL),
        "momentum": Published(0.99, _BYOL),
        "projection": Published(256, _BYOL),
    }


class SwAVOptions(JointEmbeddingOptions):
    """Options of SwAV, beside those of its views."""

    crop: ShareRange = Field((0.14, 1.0), description="area of a large view")
    small_crop: ShareRange = Field((0.05, 0.14), description="area of a small view")
    small_views: Whole = Field(4, ge=0, description="how many small views")
    small_size: PositiveShare = Field(96 / 224, description="side of a small view, as a share of the slice's")
    temperature: Positive = Field(0.1, description="of the predictions")
    epsilon: Positive = Field(0.03, description="softness of the codes")
    sinkhorn_iterations: Count = Field(3, description="of the codes")
    projection: Count = Field(128, description="length of z")
    prototypes: Whole = Field(128, ge=2, description="how many")
    queue: Whole = Field(512, ge=0, description="embeddings of earlier batches that are used for the codes; 0 for none")
    queue_start: Share = Field(15 / 200, description="share of the training after which the queue is used")
    frozen_epochs: Whole = Field(1, ge=0, description="epochs in which the prototypes are frozen")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("LARS, 0.6", _SWAV, _NO_LARS),
        "weight_decay": Published(1e-6, _SWAV),
        "decay": Published("cosine", _SWAV),
        "crop": Published((0.14, 1.0), _SWAV),
        "small_crop": Published((0.05, 0.14), _SWAV),
        "small_views": Published(6, _SWAV, "of a photograph; a slice has less to show"),
        "small_size": Published(96 / 224, f"{_SWAV}: 96 of 224 pixels"),
        "temperature": Published(0.1, _SWAV),
        "epsilon": Published(
            0.05, _SWAV, "the loss stays at ln(prototypes) on simulated brains; the authors advise 0.03 where it does"
        ),
        "sinkhorn_iterations": Published(3, _SWAV),
        "projection": Published(128, _SWAV),
        "prototypes": Published(3000, _SWAV, "for a million images; the authors advise fewer for less data"),
        "queue": Published(3840, _SWAV, "15 batches as theirs, of batches of 36 instead of 256"),
        "queue_start": Published(15 / 200, f"{_SWAV}: epoch 15 of 200"),
        "frozen_epochs": Published(1, _SWAV),
    }


class GLOptions(ViewOptions, PretrainingOptions):
    """Options of G-L, beside those of its views."""

    learning_rate: Positive = Field(1e-3, description="of Adam")
    decay: Decay = Field("constant", description="of the learning rate")
    crop: ShareRange = Field((0.27, 0.27), description="area of a crop, as a share of the body's bounding box")
    aspect: PositiveRange = Field((1.0, 1.0), description="of a crop")
    mirror: Share = Field(0.0, description="probability of a mirror image")
    gamma: Number = Field(1.0, ge=1, description="largest exponent; 1 for none")
    noise: Weight = Field(0.0, description="largest sd of noise; 0 for none")
    blurred: Share = Field(0.0, description="probability of a blur")
    temperature: Positive = Field(0.1, description="t")
    parts: Count = Field(4, description="of a volume, along z")
    hidden: Count = Field(1024, description="width of the global head's hidden layer")
    projection: Count = Field(128, description="length of an embedding")
    local_share: Share = Field(0.5, description="share of the epochs that goes to the local stage")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published(1e-3, _GL),
        "decay": Published("constant", _GL),
        "crop": Published((0.27, 0.27), f"{_GL}: 100 x 100 of 192 x 192 pixels"),
        "aspect": Published((1.0, 1.0), _GL),
        "mirror": Published(0.0, _GL),
        "gamma": Published(1.0, _GL),
        "noise": Published(0.0, _GL),
        "blurred": Published(0.0, _GL),
        "temperature": Published(0.1, _GL),
        "parts": Published(4, _GL),
        "hidden": Published(1024, _GL),
        "projection": Published(128, _GL),
        "local_share": Published(0.5, f"{_GL}: two trainings of equal length"),
    }


class ContIGOptions(JointEmbeddingOptions):
    """Options of ContIG, beside those of its views."""

    learning_rate: Positive = Field(1e-3, description="of Adam")
    alpha: Share = Field(0.5, description="weight of l(a -> b) against l(b -> a)")
    temperature: Positive = Field(0.1, description="t")
    projection: Count = Field(128, description="length of an embedding")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published(1e-3, _CONTIG),
        "weight_decay": Published(1e-6, _CONTIG),
        "decay": Published("cosine", _CONTIG),
        "alpha": Published(
            0.75,
            _CONTIG,
            "theirs favours the image over the genes; here both are images, whose order should not matter",
        ),
        "temperature": Published(0.1, _CONTIG),
        "projection": Published(128, _CONTIG),
    }


class VICRegOptions(JointEmbeddingOptions):
    """Options of VICReg, beside those of its views."""

    invariance: Weight = Field(25.0, description="lambda")
    variance: Weight = Field(25.0, description="mu")
    covariance: Weight = Field(1.0, description="nu")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("LARS, 0.2 x batch / 256, after a warm-up", _VICREG, _NO_LARS),
        "weight_decay": Published(1e-6, _VICREG),
        "decay": Published("cosine", _VICREG),
        "invariance": Published(25.0, _VICREG),
        "variance": Published(25.0, _VICREG),
        "covariance": Published(1.0, _VICREG),
    }

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        if not (self.invariance or self.variance or self.covariance):
            raise ValueError("invariance, variance, covariance: all weights are 0; set one of them above 0")
        return self


class MAEOptions(PretrainingOptions):
    """Options of MAE."""

    weight_decay: Weight = Field(3e-5, description="of Adam")
    decay: Decay = Field("cosine", description="of the learning rate, to 0")
    hidden: Number = Field(0.75, gt=0, lt=1, description="share of a slice's blocks that are hidden")
    block: Count = Field(16, description="side of a block, in pixels")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("SGD, 0.01", _NNSSL_MAE, _ONE_ADAM),
        "weight_decay": Published(3e-5, _NNSSL_MAE),
        "decay": Published("polynomial, to 0", _NNSSL_MAE, "the nearest that there is"),
        "hidden": Published(0.75, f"{_NNSSL_MAE}, rounded down"),
        "block": Published(16, _NNSSL_MAE),
    }


class VolumeFusionOptions(PretrainingOptions):
    """Options of Volume Fusion."""

    weight_decay: Weight = Field(1e-5, description="of Adam")
    classes: Whole = Field(5, ge=2, description="proportions of mixing, from 0 to 1 in equal steps")
    boxes: CountRange = Field((3, 12), description="fewest and most boxes in a slice")
    side: ShareRange = Field(
        (1 / 16, 5 / 8), description="shortest and longest side of a box, as a share of the slice's height or width"
    )

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("1e-3, halved every 20,000 of 100,000 iterations", _MISFM, _ONE_ADAM),
        "weight_decay": Published(1e-5, _MISFM),
        "classes": Published(5, f"{_MISFM} (K is 4)"),
        "boxes": Published(
            "10 to 40, of a volume",
            _MISFM,
            "boxes cover more of a slice; these leave half of it uncovered, as those do",
        ),
        "side": Published((1 / 16, 5 / 8), f"{_MISFM}: 8 to 80 of 128 voxels"),
    }


class BrainMVPLiteOptions(PretrainingOptions):
    """Options of BrainMVP-lite."""

    weight_decay: Weight = Field(1e-5, description="of Adam")
    decay: Decay = Field("cosine", description="of the learning rate, to 0")
    hidden: Number = Field(0.8, gt=0, lt=1, description="share of a slice's blocks that are replaced")
    block: Count = Field(8, description="side of a block, in pixels")
    template: Weight = Field(10.0, description="weight of the error of views filled from the template")
    cross_modal: Weight = Field(1.0, description="weight of the error of views filled from the other modality")
    contrast: Weight = Field(1.0, description="weight of InfoNCE")
    temperature: Positive = Field(1.0, description="t of InfoNCE")
    template_slices: Count = Field(8, description="slices of a template along z")
    template_alone: Share = Field(
        0.2,
        description="share of the training before which both views are filled from the template, while it takes shape",
    )
    contrast_start: Share = Field(2 / 3, description="share of the training before which InfoNCE does not count")

    PUBLISHED: ClassVar[Mapping[str, Published]] = {
        "learning_rate": Published("AdamW, 3e-4", _BRAINMVP, _ONE_ADAM),
        "weight_decay": Published(1e-5, _BRAINMVP),
        "decay": Published("cosine", _BRAINMVP),
        "hidden": Published(0.8, _BRAINMVP),
        "block": Published(8, _BRAINMVP),
        "template": Published(10.0, _BRAINMVP),
        "cross_modal": Published(1.0, _BRAINMVP),
        "contrast": Published(1.0, _BRAINMVP),
        "temperature": Published(1.0, _BRAINMVP),
        "template_slices": Published(155, _BRAINMVP, "slices here, of any number; their templates are volumes"),
        "template_alone": Published(0.2, f"{_BRAINMVP}: 300 of 1,500 epochs"),
        "contrast_start": Published(2 / 3, f"{_BRAINMVP}: 1,000 of 1,500 epochs"),
    }

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        if not (self.template or self.cross_modal):
            raise ValueError("template, cross_modal: both weights are 0; set one of them above 0")
        return self


class PretrainingTask(Section):
    """What determines the weights of a pre-training, apart from the slices."""

    algorithm: str = Field(..., description="a key of `mcd.pretraining.registry.REGISTRY`")
    options: dict[str, Any] = Field(default_factory=dict, description="of the algorithm")
    modalities: tuple[str, ...] = Field(
        ..., min_length=1, description="the pair (X, Y), one modality, or all of a cohort"
    )
    filters: Count = Field(..., description="f of Table I")
    epochs: Count
    batch_size: Whole = Field(..., ge=2, description="slices or pairs in a step")
    steps_per_epoch: Count | None = None
    sees: Literal["own", "both"] = Field(
        "own",
        description="what a single-modal algorithm is trained on. own: each modality's slices, in a training of its own; both: "
        "both modalities' slices, in one training whose network then serves both",
    )
    seed: Whole = Field(0, ge=0)

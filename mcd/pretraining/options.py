"""Options of the pre-training algorithms. No torch: a configuration is checked with them before anything runs.

Defaults are the published values, unless a description says otherwise; each method's file says what was adapted.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mcd.section import Count, Number, Positive, PositiveRange, PositiveShare, Section, Share, ShareRange, Weight, Whole
from mcd.training.schedule import Beta, Optimisation, Schedule

Decay = Literal["constant", "cosine"]


class PretrainingOptions(Optimisation):
    """Options of every pre-training method; the defaults are those of the paper's Sec. V."""

    def schedule(self, epochs: int, batch_size: int, steps_per_epoch: int | None) -> Schedule:
        """The training schedule: the method's step sizes, and the length and batch that all methods share."""
        length: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "steps_per_epoch": steps_per_epoch}
        return Schedule.model_validate({**self.step_sizes(), **length})


class ViewOptions(Section):
    """How much a view may differ from its slice. To be inherited by a method's options; 0 switches a transformation off."""

    crop: ShareRange = Field(
        (0.25, 1.0),
        description="smallest and largest area of a crop, as a share of the body's bounding box. Our choice: SimCLR's 0.08 of "
        "a photograph leaves too little of a 64-pixel slice; Chaitanya et al. crop 100 of 192 pixels, 0.27",
    )
    aspect: PositiveRange = Field(
        (3 / 4, 4 / 3),
        description="smallest and largest ratio of width to height by which a crop is distorted (SimCLR)",
    )
    tissue: Share = Field(
        0.3, description="smallest share of tissue in a crop, if one of the positions tried has it (our choice)"
    )
    mirror: Share = Field(0.5, description="probability of a left-right mirror image (SimCLR)")
    brightness: Weight = Field(
        0.3,
        description="largest offset, as a share of the volume's range between its percentiles (Chaitanya et al. 2020: 0.3 of "
        "an intensity that they scale to 0..1)",
    )
    contrast: Share = Field(0.3, description="largest relative change of contrast (Chaitanya et al. 2020: 0.7 to 1.3)")
    gamma: Number = Field(
        1.5,
        ge=1,
        description="largest exponent; it is drawn between its inverse and itself, on the tissue's own range (our choice, as "
        "nnU-Net)",
    )
    noise: Weight = Field(
        0.025, description="largest sd of Gaussian noise, as a share of the volume's range (our choice: about 0.1 sd)"
    )
    blur: Weight = Field(
        1.0, description="largest sd of a Gaussian blur, in pixels of the view; from 0.1 up (SimCLR: 2 on 224 pixels)"
    )
    blurred: Share = Field(0.5, description="probability of a blur (SimCLR)")


class DSGANOptions(PretrainingOptions):
    """Options of DSGAN."""

    betas: tuple[Beta, Beta] = Field((0.5, 0.999), description="of Adam: our choice, as pix2pix and CycleGAN")
    shared: Whole = Field(
        1, ge=0, le=3, description="k of SL_ku^kd: shared down and up layers, 0 to 3 (paper, Table I and Sec. V-C)"
    )
    adversarial: Weight = Field(1.0, description="weight of L_GAN (paper, Eq. 7)")
    translation: Weight = Field(10.0, description="weight of L_T (paper)")
    reconstruction: Weight = Field(1.0, description="weight of L_R (paper)")
    contrastive: Weight = Field(0.1, description="weight of L_C (paper)")
    adversarial_form: Literal["log", "least_squares"] = Field(
        "log",
        description=(
            "`log` (Eq. 4) or `least_squares` (LSGAN) (paper; for the generator the non-saturating "
            "form, our choice, since with the printed one it gets no gradient from a discriminator that wins)"
        ),
    )
    feature_loss: Literal["contrastive", "l1", "mse"] = Field(
        "contrastive", description="loss on the paired features: `contrastive`, or `l1` or `mse` as in Fig. 7 (paper)"
    )
    feature: Literal["up_layer", "bottleneck"] = Field(
        "up_layer",
        description=(
            "what L_C compares: the output of the last shared `up_layer` (up layer 1 if none is shared) or the "
            '`bottleneck` (our choice: the features come from "E and SL" (Sec. IV-B), and SL ends '
            "there)"
        ),
    )
    temperature: Positive = Field(0.1, description="t of Eq. 2 (paper)")
    discriminator_filters: Count = Field(
        64, description="of the 70 x 70 PatchGAN (our choice, as pix2pix; the paper names no architecture)"
    )

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
        description="`all` four rotations of each slice in every batch, as Gidaris et al. (their code), or `one` at random, as "
        "Taleb et al. (NeurIPS 2020), at a quarter of the cost",
    )


class JigsawOptions(PretrainingOptions):
    """Options of Jigsaw."""

    permutations: Whole = Field(
        100,
        ge=2,
        description="N, the number of orders; 100 as Kolesnikov et al. (CVPR 2019) and Taleb et al. (NeurIPS 2020). Noroozi "
        "and Favaro go up to 1000 (from memory of the paper), for more images",
    )
    tile_share: PositiveShare = Field(
        64 / 85, description="side of a tile, as a share of its cell's: 64 of 85 pixels (Noroozi and Favaro)"
    )
    embedding: Count = Field(
        1000,
        description="length of a tile's embedding (Goyal et al., ICCV 2019, their code VISSL: 1000, with batch norm and ReLU)",
    )


class MJigsawOptions(PretrainingOptions):
    """Options of M-Jigsaw."""

    grid: Whole = Field(3, ge=2, description="tiles along a side: 3 (from memory of the paper, which varies it)")
    iterations: Count = Field(
        20, description="of the Sinkhorn operator; 20 as Mena et al. (ICLR 2018), who used it for puzzles"
    )
    temperature: Positive = Field(1.0, description="by which scores are divided; 1 as Mena et al. for puzzles")


class ExemplarOptions(PretrainingOptions, ViewOptions):
    """Options of Exemplar, and of its views."""

    margin: Weight = Field(0.5, description="of the triplet loss (Kolesnikov et al., their code: 0.5)")
    embedding: Count = Field(1000, description="length of an embedding (Kolesnikov et al., their code: 1000)")
    negatives: Literal["derangement", "semi_hard"] = Field(
        "derangement", description="`derangement` (Taleb et al. 2020), or `semi_hard` (Kolesnikov et al. 2019)"
    )


class CPCOptions(PretrainingOptions):
    """Options of CPC."""

    steps: Whole = Field(
        5, ge=1, le=5, description="rows predicted, 1 to 5 (Loewe et al., their code: 5, all that 7 rows allow)"
    )
    negatives: Count = Field(16, description="of each prediction (Loewe et al., their code: 16)")
    context_layers: Count = Field(5, description="residual blocks of the context network (Henaff et al., appendix: 5)")
    tissue: Share = Field(0.05, description="smallest share of tissue in a patch that is used (our choice)")


class SimCLROptions(ViewOptions, PretrainingOptions):
    """Options of SimCLR, beside those of its views."""

    weight_decay: Weight = Field(1e-6, description="as the authors'")
    decay: Decay = Field(
        "cosine", description="as the authors'; without their warm-up, which LARS at a batch of thousands needs"
    )
    temperature: Positive = Field(0.1, description="t; the authors' for ImageNet")
    projection: Count = Field(128, description="length of z; the authors'")


class BYOLOptions(ViewOptions, PretrainingOptions):
    """Options of BYOL, beside those of its views."""

    weight_decay: Weight = Field(1e-6, description="as the authors'")
    decay: Decay = Field(
        "cosine", description="as the authors'; without their warm-up, which LARS at a batch of thousands needs"
    )
    blurred: Share = Field(1.0, description="probability of a blur in one view; the authors'")
    blurred_other: Share = Field(0.1, description="probability of a blur in the other view; the authors'")
    momentum: Share = Field(0.99, description="tau_0; the authors' for 100 to 300 epochs (0.996 for 1000, 0.97 for 40)")
    projection: Count = Field(256, description="length of z and q; the authors'")


class SwAVOptions(ViewOptions, PretrainingOptions):
    """Options of SwAV, beside those of its views."""

    weight_decay: Weight = Field(1e-6, description="the authors'")
    decay: Decay = Field("cosine", description="the authors'")
    crop: ShareRange = Field((0.14, 1.0), description="area of a large view; the authors'")
    small_crop: ShareRange = Field((0.05, 0.14), description="area of a small view; the authors'")
    small_views: Whole = Field(4, ge=0, description="how many; our choice (the authors': 6 of a photograph)")
    small_size: PositiveShare = Field(
        96 / 224, description="side of a small view, as a share of the slice's; the authors', 96 of 224 pixels"
    )
    temperature: Positive = Field(0.1, description="the authors'")
    epsilon: Positive = Field(
        0.03,
        description="softness of the codes; what the authors advise if the loss stays at ln(prototypes), as it did on "
        "simulated brains with their default of 0.05",
    )
    sinkhorn_iterations: Count = Field(3, description="the authors'")
    projection: Count = Field(128, description="length of z; the authors'")
    prototypes: Whole = Field(
        128, ge=2, description="our choice for some thousands of slices; the authors advise fewer for less data"
    )
    queue: Whole = Field(
        512,
        ge=0,
        description="embeddings of earlier batches that are used for the codes: some 15 batches, as the authors'; 0 for none",
    )
    queue_start: Share = Field(
        15 / 200, description="share of the training after which the queue is used; the authors', epoch 15 of 200"
    )
    frozen_epochs: Whole = Field(1, ge=0, description="epochs in which the prototypes are frozen; the authors'")


class GLOptions(ViewOptions, PretrainingOptions):
    """Options of G-L, beside those of its views."""

    learning_rate: Positive = Field(1e-3, description="the authors' (Adam too)")
    decay: Decay = Field("constant", description="the authors'")
    crop: ShareRange = Field((0.27, 0.27), description="the authors' 100 x 100 of 192 x 192 pixels")
    aspect: PositiveRange = Field((1.0, 1.0), description="the authors'")
    mirror: Share = Field(0.0, description="none in the authors' pre-training")
    gamma: Number = Field(1.0, ge=1, description="none in the authors' pre-training")
    noise: Weight = Field(0.0, description="none in the authors' pre-training")
    blurred: Share = Field(0.0, description="none in the authors' pre-training")
    temperature: Positive = Field(0.1, description="t; the authors'")
    parts: Count = Field(4, description="of a volume, along z; the authors'")
    hidden: Count = Field(1024, description="width of the global head's hidden layer; the authors'")
    projection: Count = Field(128, description="length of an embedding; the authors'")
    local_share: Share = Field(
        0.5, description="share of the epochs that goes to the local stage; the authors' stages are equally long"
    )


class ContIGOptions(ViewOptions, PretrainingOptions):
    """Options of ContIG, beside those of its views."""

    learning_rate: Positive = Field(1e-3, description="the authors' (Adam too)")
    weight_decay: Weight = Field(1e-6, description="the authors'")
    decay: Decay = Field("cosine", description="the authors'")
    alpha: Share = Field(
        0.5, description="weight of l(a -> b) against l(b -> a), see the module; 0.75 for the authors'"
    )
    temperature: Positive = Field(0.1, description="t; the authors'")
    projection: Count = Field(128, description="length of an embedding; the authors'")


class VICRegOptions(ViewOptions, PretrainingOptions):
    """Options of VICReg, beside those of its views."""

    weight_decay: Weight = Field(1e-6, description="the authors'")
    decay: Decay = Field("cosine", description="the authors'")
    invariance: Weight = Field(25.0, description="lambda; the authors'")
    variance: Weight = Field(25.0, description="mu; the authors'")
    covariance: Weight = Field(1.0, description="nu; the authors'")

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        if not (self.invariance or self.variance or self.covariance):
            raise ValueError("invariance, variance, covariance: all weights are 0; set one of them above 0")
        return self


class PretrainingTask(Section):
    """What determines the weights of a pre-training, apart from the slices."""

    algorithm: str = Field(..., description="a key of `mcd.pretraining.registry.REGISTRY`")
    options: dict[str, Any] = Field(default_factory=dict, description="of the algorithm")
    modalities: tuple[str, ...] = Field(..., min_length=1, description="the pair (X, Y), or one modality")
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

"""The methods of the paper's tables: what each is called, how it pre-trains and how it learns to segment.

A row of a table is a method. Several methods may share a pre-training (Table VIII fine-tunes one pre-training four times),
so pre-trainings have names of their own.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PretrainingSpec:
    """A pre-training: an algorithm of the registry, with options that make it what its name says.

    Attributes:
        hands_back: which layers of the U-Net it trains, in words; the rest starts from random weights in fine-tuning.
    """

    algorithm: str
    hands_back: str = "encoder"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodSpec:
    """A row of a table.

    Attributes:
        label: as the paper prints it.
        group: heading of Table II under which it stands.
        pretraining: a key of `PRETRAININGS`; None to start from random weights.
        segmentation: a key of the registry of `mcd.segmentation`.
        transfer: how many layers of the decoder, beyond encoder and shared layers, are taken over (Table VIII); 3 is the
            paper's choice and, with one shared layer, everything but the output layer.
    """

    label: str
    group: str
    pretraining: str | None = None
    segmentation: str = "supervised"
    transfer: int = 3


PRETRAININGS: dict[str, PretrainingSpec] = {
    "rotation": PretrainingSpec("rotation"),
    "jigsaw": PretrainingSpec("jigsaw"),
    "m_jigsaw": PretrainingSpec("m_jigsaw"),
    "exemplar": PretrainingSpec("exemplar"),
    "cpc": PretrainingSpec("cpc"),
    "simclr": PretrainingSpec("simclr"),
    "byol": PretrainingSpec("byol"),
    "swav": PretrainingSpec("swav"),
    "gl": PretrainingSpec("gl", "encoder and up layers 1-3"),
    "contig": PretrainingSpec("contig"),
    "multi_condos": PretrainingSpec("dsgan", "everything but the output layer"),
}

METHODS: dict[str, MethodSpec] = {
    "fully_supervised": MethodSpec("Fully Supervised", "Fully supervised, from scratch"),
    "rotation": MethodSpec("Rotation", "Self-supervised", pretraining="rotation"),
    "jigsaw": MethodSpec("Jigsaw", "Self-supervised", pretraining="jigsaw"),
    "m_jigsaw": MethodSpec("M-Jigsaw", "Self-supervised", pretraining="m_jigsaw"),
    "exemplar": MethodSpec("Exemplar", "Self-supervised", pretraining="exemplar"),
    "cpc": MethodSpec("CPC", "Self-supervised", pretraining="cpc"),
    "simclr": MethodSpec("SimCLR", "Self-supervised", pretraining="simclr"),
    "byol": MethodSpec("BYOL", "Self-supervised", pretraining="byol"),
    "swav": MethodSpec("SwAV", "Self-supervised", pretraining="swav"),
    "gl": MethodSpec("G-L", "Self-supervised", pretraining="gl"),
    "contig": MethodSpec("ContIG", "Self-supervised", pretraining="contig"),
    "mt": MethodSpec("MT", "Semi-supervised", segmentation="mean_teacher"),
    "dtml": MethodSpec("DTML", "Semi-supervised", segmentation="dtml"),
    "sass": MethodSpec("SASS", "Semi-supervised", segmentation="sass"),
    "multi_condos": MethodSpec("Multi-ConDoS", "Proposed", pretraining="multi_condos"),
}

"""The methods of the paper's tables: what each is called, how it pre-trains and how it learns to segment.

A row of a table is a method. Several methods may share a pre-training (Table VIII fine-tunes one pre-training four times),
so pre-trainings have names of their own.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from mcd.pretraining import registry as pretraining
from mcd.segmentation import registry as segmentation


@dataclass(frozen=True)
class PretrainingSpec:
    """A pre-training: an algorithm of the registry, with the options that define it.

    Attributes:
        hands_back: which layers of the U-Net it trains, in words; the rest starts from random weights in fine-tuning.
        together: whether one training sees all modalities of a cohort, more than two, instead of a pair or one of them.
    """

    algorithm: str
    hands_back: str = "encoder"
    options: dict[str, Any] = field(default_factory=dict)
    together: bool = False


@dataclass(frozen=True)
class MethodSpec:
    """A row of a table.

    Attributes:
        label: as the paper prints it.
        group: its heading in Table II.
        pretraining: a key of `PRETRAININGS`; None to start from random weights.
        segmentation: a key of the registry of `mcd.segmentation`.
        transfer: how many layers of the decoder, beyond encoder and shared layers, are transferred (Table VIII); 3 is the
            paper's choice and, with one shared layer, everything but the output layer.
        options: of the segmentation, which define the row: they win over configured ones.
    """

    label: str
    group: str
    pretraining: str | None = None
    segmentation: str = "supervised"
    transfer: int = 3
    options: dict[str, Any] = field(default_factory=dict)


def _dsgan(
    *losses: str, shared: int | None = None, hands_back: str = "everything but the output layer"
) -> PretrainingSpec:
    """DSGAN with only these of its four losses; `shared` layers if that defines the variant, else as configured."""
    options: dict[str, Any] = {name: 0.0 for name in _LOSSES if name not in losses}
    return PretrainingSpec("dsgan", hands_back, options if shared is None else {**options, "shared": shared})


_GAN, _T, _R, _C = _LOSSES = ("adversarial", "translation", "reconstruction", "contrastive")
_CONTRAST_REACHES = (
    "encoder and up layer 1"  # the layers behind the feature that L_C compares have no loss of their own
)

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
    "multi_condos": _dsgan(*_LOSSES),
    # Table III: Multi-ConDoS with parts left out
    "con_only": _dsgan(_C, shared=0, hands_back=_CONTRAST_REACHES),
    "p_gan": _dsgan(_GAN, _T, shared=0),
    "cycle_gan": _dsgan(_GAN, _R, shared=0),
    "cycle_p_gan": _dsgan(_GAN, _T, _R, shared=0),
    "multi_dos": _dsgan(_GAN, _T, _R),
    "multi_con": _dsgan(*_LOSSES, shared=0),
    # Table V: the layers stay shared; L_GAN + L_T + L_R is Multi-DoS
    "loss_c": _dsgan(_C, hands_back=_CONTRAST_REACHES),
    "loss_t": _dsgan(_T),
    "loss_gan": _dsgan(_GAN),
    "loss_t_r": _dsgan(_T, _R),
    "loss_t_c": _dsgan(_T, _C),
    "loss_gan_r": _dsgan(_GAN, _R),
    "loss_gan_c": _dsgan(_GAN, _C),
    "loss_gan_t": _dsgan(_GAN, _T),
    "loss_t_r_c": _dsgan(_T, _R, _C),
    "loss_gan_r_c": _dsgan(_GAN, _R, _C),
    "loss_gan_t_c": _dsgan(_GAN, _T, _C),
    # Fig. 6: sharing depth; SL1 is Multi-ConDoS
    "sl2": _dsgan(*_LOSSES, shared=2),
    "sl3": _dsgan(*_LOSSES, shared=3),
    # Fig. 7: other losses on the paired features
    "feature_l1": PretrainingSpec("dsgan", "everything but the output layer", {"feature_loss": "l1"}),
    "feature_mse": PretrainingSpec("dsgan", "everything but the output layer", {"feature_loss": "mse"}),
    # beyond the paper
    "multi_condos_m": replace(_dsgan(*_LOSSES), together=True),
}

TABLE_II: dict[str, MethodSpec] = {
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
"""The paper's method and the baselines: what `methods: all` stands for."""


def _ablation(label: str, pretraining: str, transfer: int = 3) -> MethodSpec:
    return MethodSpec(label, "Ablations of Multi-ConDoS", pretraining=pretraining, transfer=transfer)


ABLATIONS: dict[str, MethodSpec] = {
    "con_only": _ablation("Con-Only", "con_only"),
    "p_gan": _ablation("P-GAN", "p_gan"),
    "cycle_gan": _ablation("Cycle-GAN", "cycle_gan"),
    "cycle_p_gan": _ablation("Cycle-P-GAN", "cycle_p_gan"),
    "multi_dos": _ablation("Multi-DoS", "multi_dos"),
    "multi_con": _ablation("Multi-Con", "multi_con"),
    "loss_c": _ablation("L_C", "loss_c"),
    "loss_t": _ablation("L_T", "loss_t"),
    "loss_gan": _ablation("L_GAN", "loss_gan"),
    "loss_t_r": _ablation("L_T+L_R", "loss_t_r"),
    "loss_t_c": _ablation("L_T+L_C", "loss_t_c"),
    "loss_gan_r": _ablation("L_GAN+L_R", "loss_gan_r"),
    "loss_gan_c": _ablation("L_GAN+L_C", "loss_gan_c"),
    "loss_gan_t": _ablation("L_GAN+L_T", "loss_gan_t"),
    "loss_t_r_c": _ablation("L_T+L_R+L_C", "loss_t_r_c"),
    "loss_gan_r_c": _ablation("L_GAN+L_R+L_C", "loss_gan_r_c"),
    "loss_gan_t_c": _ablation("L_GAN+L_T+L_C", "loss_gan_t_c"),
    "transfer_sl": _ablation("Encoder_SL", "multi_condos", transfer=0),
    "transfer_d1": _ablation("Encoder_SL_D1", "multi_condos", transfer=1),
    "transfer_d2": _ablation("Encoder_SL_D2", "multi_condos", transfer=2),
    "sl2": _ablation("SL2", "sl2"),
    "sl3": _ablation("SL3", "sl3"),
    "feature_l1": _ablation("L1 on features", "feature_l1"),
    "feature_mse": _ablation("MSE on features", "feature_mse"),
}
"""Tables III, V and VIII, Figs. 6 and 7."""

CONTROLS: dict[str, MethodSpec] = {
    "supervised_content": MethodSpec("Fully Supervised, all slices", "Controls", options={"slices": "content"}),
    "mt_control": MethodSpec("MT, weight 0", "Controls", segmentation="mean_teacher", options={"consistency": 0.0}),
}
"""What semi-supervised rows are to be held against: they learn from slices without a target, too, and MT's network normalises
its batches over unlabelled slices. What such a method gains from unlabelled slices is its gain over its control."""

BEYOND: dict[str, MethodSpec] = {
    **CONTROLS,
    **{
        name: MethodSpec(baseline.label, baseline.group, pretraining=name)
        for name, baseline in pretraining.BASELINES.items()
    },
    **{
        name: MethodSpec(baseline.label, baseline.group, segmentation=name)
        for name, baseline in segmentation.BASELINES.items()
    },
    "multi_condos_m": MethodSpec("Multi-ConDoS-M", "Proposed", pretraining="multi_condos_m"),
}
"""Rows of a table beyond the paper: the controls, baselines that are not in it, ours and those of other packages, and
Multi-ConDoS on all modalities of a cohort at once."""

ALL: dict[str, list[str]] = {"all": list(TABLE_II), "all+": [*TABLE_II, *BEYOND]}
"""Words that a configuration may have in place of a list of methods, and what they stand for."""

PRETRAININGS |= {name: PretrainingSpec(name, baseline.hands_back) for name, baseline in pretraining.BASELINES.items()}

METHODS: dict[str, MethodSpec] = {**TABLE_II, **ABLATIONS, **BEYOND}


def learns_from_unlabelled(method: str) -> bool:
    """Whether a method learns to segment from unlabelled slices, too."""
    return segmentation.REGISTRY[METHODS[method].segmentation].unlabelled


def needs_pair(method: str) -> bool:
    """Whether a method pre-trains on paired images of two modalities."""
    name = METHODS[method].pretraining
    if name is None or PRETRAININGS[name].together:
        return False
    return pretraining.REGISTRY[PRETRAININGS[name].algorithm].multimodal


def needs_three(method: str) -> bool:
    """Whether a method pre-trains on all modalities of a cohort at once, and has to find more than a pair of them."""
    name = METHODS[method].pretraining
    return name is not None and PRETRAININGS[name].together

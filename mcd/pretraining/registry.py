"""Pre-training methods by name. Loads no torch: it says where the classes are."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from mcd.registry import Algorithm, Baseline, added, find

if TYPE_CHECKING:
    from mcd.pretraining.base import Pretraining
    from mcd.pretraining.options import PretrainingOptions


def _algorithm(place: str, **features: bool) -> Algorithm:
    name = place.partition(":")[2]
    return Algorithm(f"mcd.pretraining.{place}", f"mcd.pretraining.options:{name}Options", **features)


_WHOLE = "everything but the output layer"

BASELINES: dict[str, Baseline] = {
    "vicreg": Baseline("VICReg", _algorithm("vicreg:VICReg"), group="Self-supervised"),
    "mae": Baseline("MAE", _algorithm("mae:MAE"), group="Self-supervised", hands_back=_WHOLE),
    "volume_fusion": Baseline(
        "Volume Fusion", _algorithm("volume_fusion:VolumeFusion"), group="Self-supervised", hands_back=_WHOLE
    ),
    "brainmvp_lite": Baseline(
        "BrainMVP-lite",
        _algorithm("brainmvp_lite:BrainMVPLite", multimodal=True),
        group="Self-supervised",
        hands_back=_WHOLE,
    ),
    **added("mcd.pretraining"),
}
"""Self-supervised methods beyond the paper's tables, ours and those of other packages: algorithm -> its row."""

REGISTRY: dict[str, Algorithm] = {
    "dsgan": _algorithm("dsgan:DSGAN", multimodal=True, any_number=True),
    "rotation": _algorithm("rotation:Rotation"),
    "jigsaw": _algorithm("jigsaw:Jigsaw"),
    "m_jigsaw": _algorithm("m_jigsaw:MJigsaw", multimodal=True),
    "exemplar": _algorithm("exemplar:Exemplar"),
    "cpc": _algorithm("cpc:CPC"),
    "simclr": _algorithm("simclr:SimCLR"),
    "byol": _algorithm("byol:BYOL"),
    "swav": _algorithm("swav:SwAV"),
    "gl": _algorithm("gl:GL"),
    "contig": _algorithm("contig:ContIG", multimodal=True),
    **{name: baseline.algorithm for name, baseline in BASELINES.items()},
}
"""Algorithm -> where its classes are. Text, so that reading the registry does not load torch."""


def pretraining_class(algorithm: str) -> "type[Pretraining]":
    """The `Pretraining` class of an algorithm."""
    found: type[Pretraining] = resolve_name(find(REGISTRY, algorithm).method)
    return found


def options_class(algorithm: str) -> "type[PretrainingOptions]":
    """The options of an algorithm; loads no torch."""
    found: type[PretrainingOptions] = resolve_name(find(REGISTRY, algorithm).options)
    return found

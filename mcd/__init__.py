"""Multi-ConDoS: multimodal contrastive domain sharing GANs for self-supervised medical image segmentation.

The package says *how* each stage of the workflow works; the Snakefile says *what depends on what*.

For Python there are the names of `__all__` (docs/how_to/python.md): they are stable, and everything else is private. They
are looked up when they are used, so that `import mcd` loads nothing.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mcd.errors import McdError
    from mcd.losses.adversarial import discriminator_loss, generator_loss
    from mcd.losses.contrastive import multimodal_contrastive
    from mcd.losses.segmentation import dice_and_cross_entropy, soft_dice
    from mcd.models.encoder import Encoder
    from mcd.models.unet import UNet
    from mcd.prediction.api import load_model, predict
    from mcd.prediction.encoder import load_encoder
    from mcd.segmentation.supervised import set_prior
    from mcd.slices.dataset import SliceDataset
    from mcd.slices.splits import Split, read_split

__all__ = [
    "Encoder",
    "McdError",
    "SliceDataset",
    "Split",
    "UNet",
    "__version__",
    "dice_and_cross_entropy",
    "discriminator_loss",
    "generator_loss",
    "load_encoder",
    "load_model",
    "multimodal_contrastive",
    "predict",
    "read_split",
    "set_prior",
    "soft_dice",
]

_MODULES = {
    "mcd.errors": ["McdError"],
    "mcd.losses.adversarial": ["discriminator_loss", "generator_loss"],
    "mcd.losses.contrastive": ["multimodal_contrastive"],
    "mcd.losses.segmentation": ["dice_and_cross_entropy", "soft_dice"],
    "mcd.models.encoder": ["Encoder"],
    "mcd.models.unet": ["UNet"],
    "mcd.prediction.api": ["load_model", "predict"],
    "mcd.prediction.encoder": ["load_encoder"],
    "mcd.segmentation.supervised": ["set_prior"],
    "mcd.slices.dataset": ["SliceDataset"],
    "mcd.slices.splits": ["Split", "read_split"],
}
_PLACES = {name: f"{module}:{name}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = resolve_name(_PLACES[name])
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The adversarial loss L_GAN (Sec. IV-C, Eq. 4), for the discriminator and for the generator.

`log` is Eq. 4 for the discriminator; for the generator it is the non-saturating form of Goodfellow et al. 2014 (maximise
log Dis(fake) instead of minimising log(1 - Dis(fake))), since with the printed form the generator gets no gradient from a
discriminator that wins. `least_squares` is LSGAN (Mao et al. 2017), which CycleGAN's code uses.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def _against(logits: Tensor, target: float, form: str) -> Tensor:
    logits = at_least_single(logits)
    targets = torch.full_like(logits, target)
    if form == "log":
        return F.binary_cross_entropy_with_logits(logits, targets)
    return F.mse_loss(logits, targets)


def discriminator_loss(real: Tensor, fake: Tensor, form: str = "log") -> Tensor:
    """One domain's half of Eq. 4, negated to be minimised: logits of any equal shapes, real towards 1, fake towards 0."""
    return _against(real, 1.0, form) + _against(fake, 0.0, form)


def generator_loss(fake: Tensor, form: str = "log") -> Tensor:
    """What the generator minimises against one discriminator: the logits of its fakes, of any shape, towards 1."""
    return _against(fake, 1.0, form)

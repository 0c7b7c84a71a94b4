"""How long a method that learns to segment trains: until it has seen labelled slices with a target as often as all others.

Methods draw different slices: Fully Supervised and every fine-tuning those of the labelled patients that have a target
(Sec. V), semi-supervised methods all slices of labelled and of unlabelled patients. Neither equal steps nor equal passes would
be fair: with equal steps a semi-supervised method sees each target a half to an eighth as often as the others, with passes over
its own slices it depends on how a batch is filled. What all rows of a table share is the number of labelled slices with a
target that they see.
"""

import numpy as np

from mcd.seeding import derive_seed
from mcd.segmentation.supervised import Segmentation
from mcd.slices.batches import SliceSet
from mcd.training.schedule import Schedule


def equal_length(schedule: Schedule, method: Segmentation, slices: SliceSet, seed: int) -> Schedule:
    """The schedule with as many steps in an epoch as show labelled slices with a target as often as Fully Supervised's do.

    Fully Supervised takes `steps_per_epoch` steps, or a pass over these slices, with batches of these slices alone; the
    method takes as many as its own batches of `slices`, of which a pass is drawn with `seed`, need for that, to the nearest.
    """
    targets = int(slices.has_target.sum())
    batch = min(schedule.batch_size, targets)
    wanted = batch * (schedule.steps_per_epoch or targets // batch)
    drawn = list(method.batches(slices, schedule.batch_size, np.random.default_rng(derive_seed(seed, "length"))))
    seen = sum(int(slices.has_target[indices].sum()) for indices in drawn)
    if seen == batch * len(drawn):  # Fully Supervised's own batches
        return schedule
    return schedule.model_copy(update={"steps_per_epoch": max(1, round(wanted * len(drawn) / seen))})

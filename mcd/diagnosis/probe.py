"""What an encoder knows of the regions, level by level: a linear probe on its features, beside those of random weights.

A level's features are asked, cell by cell of its grid, whether the cell holds any pixel of a region (logistic regression);
only cells with tissue count, since background is told apart by anything. The probe learns on one half of the training
patients and is scored on the other, so that test patients are never looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from mcd.diagnosis.knock_out import with_region
from mcd.diagnosis.numbers import LAYERS, Number
from mcd.models.unet import LEVELS, UNet, encoder_keys
from mcd.seeding import derive_seed
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.training.device import autocast
from mcd.training.schedule import Compute
from mcd.translation.passes import BATCH, estimating

SLICES, CELLS = 256, 8192
"""Of each half of the patients, at most: slices with a region, and cells of them at each level (our choice: seconds of
processor time in the default run, and eight cells per feature at the bottleneck of the paper's networks)."""


def probe(
    state: dict[str, Tensor],
    filters: int,
    modality: str,
    shards: Shards,
    subjects: list[str],
    regions: dict[str, list[int]],
    *,
    seed: int,
    person: Callable[[str], str] = str,
    compute: Compute,
    device: torch.device,
) -> list[Number]:
    """AUC of a probe for each region and level: `pretrained`, and `random` for weights of the same architecture.

    Batch statistics are those of the half on which the probe learns, for both, as a fine-tuning normalises by its own batches.

    Args:
        state: the pre-trained U-Net's, or its encoder's.
        subjects: training subjects, in an order that says nothing. Those without a region are left out.
        person: whose scan a subject is; nobody is in both halves.

    Returns:
        Nothing where fewer than two subjects hold a region; a region that is not in both halves is left out.
    """
    subjects = with_region(shards, subjects, regions)
    persons = list(dict.fromkeys(map(person, subjects)))
    if len(persons) < 2:
        return []
    learning = set(persons[: len(persons) // 2])
    parts = [[name for name in subjects if (person(name) in learning) == learns] for learns in (True, False)]
    halves = [
        Half(
            SliceSet(shards, part, [modality], regions=regions, select="target", device=device), derive_seed(seed, name)
        )
        for name, part in zip(("learn", "score"), parts, strict=True)
    ]
    torch.manual_seed(derive_seed(seed, "weights"))
    networks = {"random": UNet(filters), "pretrained": UNet(filters)}
    networks["pretrained"].load_state_dict({key: state[key] for key in encoder_keys(state)}, strict=False)
    rows = []
    for measure in ("pretrained", "random"):
        network = networks[measure].to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        with estimating(network.encoder), torch.inference_mode():
            for indices in halves[0].batches():
                network.encode(halves[0].slices.batch(indices).images)
        features = [half.features(network, compute) for half in halves]
        for level in range(LEVELS):
            scaler = StandardScaler().fit(features[0][level])
            learned, scored = (scaler.transform(of_half[level]) for of_half in features)
            for position, region in enumerate(regions):
                truth, asked = (half.cells[level].holds[:, position] for half in halves)
                if len(np.unique(truth)) < 2 or len(np.unique(asked)) < 2:
                    continue
                # Newton's method, since it converges in a few steps wherever there are more cells than features
                fit = LogisticRegression(solver="newton-cholesky").fit(learned, truth)
                auc = float(roc_auc_score(asked, fit.decision_function(scored)))
                rows.append(Number("probe", measure, auc, modality, region, LAYERS[level]))
    return rows


@dataclass(frozen=True)
class Cells:
    """Some cells of a level's grid. at: (cells,) increasing, positions in (slices, h, w). holds: (cells, regions) bool."""

    at: np.ndarray
    holds: np.ndarray


class Half:
    """Slices of half the patients, and the cells of each level that are asked."""

    def __init__(self, slices: SliceSet, seed: int) -> None:
        self.slices = slices
        rng = np.random.default_rng(seed)
        self.chosen = np.sort(rng.permutation(len(slices))[:SLICES])
        parts: list[list[Cells]] = [[] for _ in range(LEVELS)]
        quota = -(-CELLS // len(self.chosen))
        for number, index in enumerate(self.chosen):
            batch = slices.batch(np.array([index]))
            assert batch.targets is not None
            for level in range(LEVELS):
                tissue = F.max_pool2d((batch.images != 0).float(), 2**level).flatten().cpu().numpy()
                holds = F.max_pool2d(batch.targets, 2**level).flatten(2)[0].T.bool().cpu().numpy()
                cells = np.sort(rng.permutation(np.flatnonzero(tissue))[:quota])
                parts[level].append(Cells(number * len(tissue) + cells, holds[cells]))
        self.cells = [
            Cells(np.concatenate([part.at for part in level]), np.concatenate([part.holds for part in level]))
            for level in parts
        ]

    def batches(self) -> list[np.ndarray]:
        return [self.chosen[start : start + BATCH] for start in range(0, len(self.chosen), BATCH)]

    @torch.inference_mode()
    def features(self, network: UNet, compute: Compute) -> list[np.ndarray]:
        """(cells, channels) of each level."""
        found: list[list[np.ndarray]] = [[] for _ in range(LEVELS)]
        first = 0
        for indices in self.batches():
            images = self.slices.batch(indices).images
            with autocast(compute, images.device):
                maps = network.encode(images)
            for level, features in enumerate(maps):
                _, channels, height, width = features.shape
                start, stop = np.searchsorted(
                    self.cells[level].at, [first * height * width, (first + len(indices)) * height * width]
                )
                at = torch.from_numpy(self.cells[level].at[start:stop] - first * height * width)
                flat = features.permute(0, 2, 3, 1).reshape(-1, channels)
                found[level].append(flat[at.to(flat.device)].double().cpu().numpy())
            first += len(indices)
        return [np.concatenate(level) for level in found]

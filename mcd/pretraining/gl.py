"""G-L: a global contrastive loss trains the encoder, then a local one the first three blocks of the decoder.

K. Chaitanya, E. Erdil, N. Karani, E. Konukoglu: Contrastive Learning of Global and Local Features for Medical Image
Segmentation with Limited Annotations, NeurIPS 2020.

    stage 1, L_g^D: volumes are cut into 4 parts along z. A slice's other view and the slices of the same part in other
        volumes attract; slices of other parts repel; slices of the same part are never negatives.
    stage 2, L_l^R: the encoder is frozen. Two views of a slice differ only in intensity, so that positions correspond; each
        of 13 regions of 3 x 3 pixels in the decoder's feature map attracts itself in the other view, and repels the 5 regions
        nearest to it in both views.

Both use cosine similarities divided by t = 0.1 (`mcd.losses.global_local`). The two stages share the epochs half and half, as
the authors' two trainings are equally long.

Adapted to this U-Net and to one-channel z-scores: the authors' head flattens a bottleneck of 6 x 6 pixels, so a larger one is
pooled to that before it is flattened; brightness and contrast change only within the tissue; the crop lies within the body.
The 5 nearest regions are computed, the authors' hand-written list differs in a few places. Positives are all slices of a part
in the batch, where the authors' code draws one partner volume. Parts divide the slices with content of a volume evenly, which
assumes volumes that show the same anatomy from bottom to top: true for whole brains, roughly so for head-and-neck boxes.

Encoder, up layers 1 to 3 and the transposed convolutions between them are transferred; up layer 4 and the transposed
convolution before it start from random weights.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.distributed.shares import BatchNorm2d, shared
from mcd.errors import McdError
from mcd.losses.global_local import region_contrastive, region_logits, same_part_contrastive
from mcd.models.unet import SIZE_FACTOR, UNet, bottleneck_channels
from mcd.pretraining.base import Pretraining
from mcd.pretraining.health import embedding_sd, nearest_other
from mcd.pretraining.options import GLOptions
from mcd.pretraining.views import change_intensity, random_view
from mcd.slices.batches import Batch, SliceSet
from mcd.training.guards import Levels
from mcd.training.method import Losses

UP_LAYERS = 3
POOLED_SIDE = 6
"""Side in pixels of the bottleneck that is flattened: the authors' 192-pixel slices, halved five times."""

REGION = 3
REGION_NEGATIVES = 5


class GL(Pretraining):
    """A U-Net without its last up layer, a global and a local head.

    Logs `accuracy`: in the global stage how often a view's nearest other view is of the same part of a volume (chance is about
    1 / `parts`), in the local stage how often a region finds itself among its 1 + 10 candidates; and the embeddings' spread.
    """

    options: GLOptions
    up_layers = UP_LAYERS

    def __init__(self, options: GLOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        self.unet = UNet(filters)
        del self.unet.decoder[UP_LAYERS:], self.unet.upsample[UP_LAYERS:], self.unet.output  # nothing trains them
        height, width = (pixels // SIZE_FACTOR for pixels in size)
        self.pool = max(math.ceil(max(height, width) / POOLED_SIDE), 1)
        flat = bottleneck_channels(filters) * (height // self.pool) * (width // self.pool)
        self.global_head = nn.Sequential(
            nn.Linear(flat, options.hidden, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(options.hidden, options.projection, bias=False),
        )
        channels = filters * 2 ** (4 - UP_LAYERS)
        self.local_head = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False),
            BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False),
        )
        self.region_head = nn.Linear(channels * REGION**2, options.projection, bias=False)
        step = 2 ** (4 - UP_LAYERS)
        rows, columns, negatives = region_layout(size[0] // step, size[1] // step)
        for name, table in (("rows", rows), ("columns", columns), ("negatives", negatives)):
            self.register_buffer(name, table, persistent=False)
        self.local = False

    rows: Tensor
    columns: Tensor
    negatives: Tensor

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def before_epoch(self, epoch: int, epochs: int) -> None:
        if epochs < 2:
            raise McdError("gl: trains its encoder, then its decoder, and needs at least 2 `epochs`")
        global_epochs = min(max(round(epochs * (1 - self.options.local_share)), 1), epochs - 1)
        self.local = epoch >= global_epochs
        if self.local:
            self.unet.encoder.eval()  # its BatchNorm statistics are frozen, too

    def losses(self, batch: Batch, player: str) -> Losses:
        return self._local_losses(batch) if self.local else self._global_losses(batch)

    def levels(self, batch_size: int) -> Levels:
        return Levels()  # two stages, whose totals do not compare

    def _global_losses(self, batch: Batch) -> Losses:
        images = batch.images
        views = random_view(images.repeat(2, 1, 1, 1), batch.ranges.repeat(2, 1), self.options)
        embeddings = self.global_head(shared(self._pooled, views))
        parts = (torch.arange(len(images)) % self.options.parts).repeat(2)  # the order of `batches`
        there = parts.to(images.device, non_blocking=True)
        return {
            "total": same_part_contrastive(embeddings, parts, self.options.temperature),
            "accuracy": (there[nearest_other(embeddings)] == there).float().mean(),
            "embedding_sd": embedding_sd(embeddings),
        }

    def _local_losses(self, batch: Batch) -> Losses:
        images, tissue = batch.images, batch.images != 0
        views = torch.cat([change_intensity(images, tissue, batch.ranges, self.options) for _ in range(2)])
        a, b = self.region_head(shared(self._regions, views)).chunk(2)
        temperature = self.options.temperature
        found = region_logits(a.detach(), b.detach(), self.negatives, temperature).argmax(1)
        positives = torch.arange(len(self.negatives), device=images.device).repeat(len(images))
        return {
            "total": region_contrastive(a, b, self.negatives, temperature),
            "accuracy": (found == positives).float().mean(),
            "embedding_sd": embedding_sd(a.flatten(0, 1)),
        }

    def _pooled(self, views: Tensor) -> Tensor:
        return F.avg_pool2d(self.unet.encode(views)[-1], self.pool).flatten(1)

    def _regions(self, views: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.unet.encode(views)
        feature_map = self.local_head(self.unet.decode(features)[UP_LAYERS])
        regions = feature_map[:, :, self.rows[:, :, None], self.columns[:, None, :]]  # (N, C, R, 3, 3)
        return regions.transpose(1, 2).flatten(2)

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Batches of volumes x parts, one random slice per part; entry i of a batch is of part i modulo `parts`."""
        parts = self.options.parts
        if batch_size < parts:
            raise McdError(
                f"gl: a batch needs a slice of each of the {parts} parts of a volume; raise `batch_size` to {parts} or more"
            )
        return volume_batches(slices.subject_of, slices.height_of, batch_size // parts, parts, rng)

    def unet_state(self, modality: str) -> dict[str, Tensor]:
        return self.unet.state_dict()


def volume_batches(
    subject_of: np.ndarray, heights: np.ndarray, volumes: int, parts: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """As many batches as make one pass, each of `volumes` different subjects with one random slice of each part.

    A subject's slices are divided in order of height into `parts` equal parts. Subjects with fewer slices than parts are left
    out; if there are fewer subjects than `volumes`, a batch has them all.

    Raises:
        McdError: if no subject has a slice for every part.
    """
    slabs: list[list[np.ndarray]] = []
    for subject in np.unique(subject_of):
        own = np.flatnonzero(subject_of == subject)
        if len(own) >= parts:
            slabs.append(np.array_split(own[np.argsort(heights[own], kind="stable")], parts))
    if not slabs:
        raise McdError(f"gl: no subject has {parts} slices, one for each part of a volume")
    volumes = min(volumes, len(slabs))
    for _ in range(max(len(subject_of) // (volumes * parts), 1)):
        chosen = rng.choice(len(slabs), volumes, replace=False)
        yield np.array([rng.choice(slab) for volume in chosen for slab in slabs[volume]])


def region_layout(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The positions of the 13 regions of a feature map, and which are each other's negatives.

    Their first pixels are a 3 x 3 lattice from corner to corner and the 4 points halfway between its centre and corners.

    Returns:
        Rows (13, 3) and columns (13, 3) of each region's pixels, and negatives (13, 13): the 5 nearest others of each.
    """
    lattice = [(y, x) for y in (0.0, 0.5, 1.0) for x in (0.0, 0.5, 1.0)]
    points = torch.tensor([*lattice, (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)])
    first = (points * torch.tensor([height - REGION, width - REGION])).long()
    rows, columns = (first[:, axis, None] + torch.arange(REGION) for axis in (0, 1))
    distance = torch.cdist(points, points)
    distance.fill_diagonal_(torch.inf)
    nearest = distance.argsort(dim=1, stable=True)[:, :REGION_NEGATIVES]  # ties: in order of the points
    return rows, columns, torch.zeros(distance.shape, dtype=torch.bool).scatter_(1, nearest, True)

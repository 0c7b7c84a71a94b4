"""Translating and scoring the test patients with one pre-training's generators: what the workflow's rule calls.

    translation      X' = G_b(Y)    Y' = G_a(X)      reconstruction   X'' = G_b(Y')   Y'' = G_a(X')

A method that was trained without L_R (P-GAN) makes no reconstructions, as in the paper's Table IV.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from mcd.csv_files import write_frame
from mcd.errors import McdError
from mcd.evaluation.image_quality import frechet_distance, ssim
from mcd.evaluation.score_rows import VERSION
from mcd.losses import at_least_single
from mcd.pretraining.dsgan import DSGAN
from mcd.pretraining.options import DSGANOptions
from mcd.seeding import derive_seed
from mcd.slices.batches import Regions, SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import split_to_test
from mcd.training.checkpoint import load_checkpoint
from mcd.training.device import prepare
from mcd.training.schedule import Compute
from mcd.translation.examples import Examples, write_examples
from mcd.translation.extractors import Extractor, find_extractor
from mcd.translation.passes import Passes
from mcd.version import UNKNOWN, code_version, lineage

log = logging.getLogger(__name__)

_DECIMALS = "%.6f"


def load_generators(path: str | Path) -> DSGAN:
    """The DSGAN of a pre-training checkpoint, with its trained generators, in evaluation mode, on the CPU.

    Raises:
        McdError: for a checkpoint of another method.
    """
    checkpoint = load_checkpoint(path, "pretraining")
    about = checkpoint.description
    if about["algorithm"] != "dsgan":
        raise McdError(f"{path}: {about['algorithm']} has no generators; a translation needs a checkpoint of dsgan")
    method = DSGAN(DSGANOptions(**about["options"]), about["filters"], about["modalities"])
    for branch, modality in zip(method.generator.branches, about["modalities"], strict=True):
        branch.load_state_dict(checkpoint.weights[modality])
    return method.eval()


def translate(
    *,
    shards: Sequence[str | Path],
    split: str | Path,
    pretrained: str | Path,
    scores: str | Path,
    distances: str | Path,
    examples: str | Path,
    columns: Mapping[str, Any],
    regions: Regions,
    inception: str | Path | None = None,
    pairs: int = 40,
    batch_size: int = 64,
    seed: int = 0,
    compute: Compute | None = None,
) -> pd.DataFrame:
    """Translate every test slice that is black in neither modality, and score the results.

    All-black slices are left out as in pre-training: they would score 1 whatever the method. SSIM and FID see an image on the
    scale of its patient's real volume: SSIM with the range of that volume's tissue as its data range, FID's network with that
    range as 0 to 1 (values beyond are clipped) and black where the real image has no tissue. Batch statistics are those of each
    pass, estimated on training slices (`mcd.translation.passes`).

    Args:
        scores: CSV to write, SSIM by patient and image.
        distances: CSV to write, FID by image, over all test slices together; empty without an extractor.
        examples: HDF5 to write, for the figures: the slice with the largest target of the patient whose target is nearest to
            the median, and the feature similarities of `pairs` random slices (Fig. 3: 40), the same for every method.
        columns: first columns of each row of both CSVs (cohort, pair, ...).
        regions: the target, by which the slice is chosen.
        inception: TorchScript file of FID's network; None for that of an installed package.

    Returns:
        The rows of `scores`.
    """
    compute = compute or Compute()
    device = prepare(compute)
    before = load_checkpoint(pretrained, "pretraining").description.get(VERSION, UNKNOWN)
    columns = {**columns, VERSION: lineage(before, code_version())}
    method = load_generators(pretrained).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    extractor = find_extractor(inception, device)
    passes = Passes(method, compute)
    features = _Features(extractor, passes.made)
    with Shards(shards) as opened, torch.inference_mode():
        parts, limit = split_to_test(split), compute.memory_limit_gb * 1e9
        test = parts.test
        learned = SliceSet(opened, parts.seen, method.modalities, device=device, memory_limit=limit / 2)
        passes.estimate(learned, derive_seed(seed, "statistics"))
        slices = SliceSet(opened, test, method.modalities, device=device, memory_limit=limit / 2)
        shown = _shown_slice(opened, slices, regions)
        rows: list[dict[str, Any]] = []
        for position, subject in enumerate(tqdm(test, unit="patient", disable=None, leave=False)):
            own = np.flatnonzero(slices.subject_of == position)
            ranges = _ranges(opened, subject, method.modalities)
            quality: dict[str, list[np.ndarray]] = {name: [] for name in passes.made}
            for indices in (own[start : start + batch_size] for start in range(0, len(own), batch_size)):
                images = passes.images(slices.batch(indices).images)
                features.add(images, ranges)
                for name in passes.made:
                    quality[name].append(_ssim(images, name, ranges))
                if shown in indices:
                    pictures, shown_ranges = _pictures(images, int(np.flatnonzero(indices == shown)[0])), ranges
            rows += _rows({**columns, "subject": subject}, quality, len(own))
        subject = test[slices.subject_of[shown]]
        shown_examples = Examples(
            modalities=(method.modalities[0], method.modalities[1]),
            subject=subject,
            row=int(slices.rows[shown]),
            spacing=opened.subject(subject).spacing[1:],
            images=pictures,
            ranges=shown_ranges,
            similarity=_pair_similarity(passes, slices, pairs, derive_seed(seed, "pairs")),
        )
    table = pd.DataFrame(rows)
    write_examples(shown_examples, examples)
    found = pd.DataFrame([{**columns, "image": name, **features.distance(name)} for name in passes.made])
    write_frame(found, distances, _DECIMALS)
    write_frame(table, scores, _DECIMALS)
    return table


def _rows(columns: Mapping[str, Any], quality: Mapping[str, list[np.ndarray]], slices: int) -> list[dict[str, Any]]:
    """A patient's scores: the mean over its slices, one row per generated image."""
    return [
        {**columns, "image": name, "slices": slices, "SSIM": np.concatenate(values).mean()}
        for name, values in quality.items()
        if values
    ]


class _Features:
    """The extractor's features of all slices, real and generated, by image."""

    def __init__(self, extractor: Extractor | None, made: Sequence[str]) -> None:
        self.extractor = extractor
        self.slices = 0
        self.found: dict[str, list[np.ndarray]] = {name: [] for name in ("X", "Y", *made)}

    def add(self, images: Mapping[str, Tensor], ranges: np.ndarray) -> None:
        """Add a batch of one patient's images (N, 1, H, W); `ranges` as `_ranges` gives them."""
        self.slices += len(images["X"])
        if self.extractor is None:
            return
        for name, features in self.found.items():
            low, high = _range_of(name, ranges)
            grey = ((images[name] - low) / (high - low)).clamp(0, 1)
            grey = grey * (images[name[0]] != 0)  # black where the real image has no tissue
            features.append(self.extractor.features(grey).cpu().numpy())

    def distance(self, name: str) -> dict[str, Any]:
        """The columns of an image's FID: from the real images of its modality, over all slices together."""
        fid = np.nan
        if self.extractor is not None:
            fid = frechet_distance(np.concatenate(self.found[name[0]]), np.concatenate(self.found[name]))
        return {"slices": self.slices, "extractor": self.extractor.name if self.extractor else "", "FID": fid}


def _ssim(images: Mapping[str, Tensor], name: str, ranges: np.ndarray) -> np.ndarray:
    """The similarity of each generated slice to the real one of its modality."""
    low, high = _range_of(name, ranges)
    real, made = (images[key][:, 0].cpu().numpy() for key in (name[0], name))
    return ssim(real, made, high - low)


def _range_of(name: str, ranges: np.ndarray) -> np.ndarray:
    """Lowest and highest value of the real volume whose modality an image, such as X_trans, has."""
    return ranges["XY".index(name[0])]


def _pictures(images: Mapping[str, Tensor], at: int) -> np.ndarray:
    """(6, H, W): X, Y and `IMAGES` of one slice; NaN for those that the method does not make."""
    pictures = [image[at, 0].cpu().numpy() for image in images.values()]
    pictures += [np.full_like(pictures[0], np.nan)] * (6 - len(pictures))
    return np.stack(pictures)


def _ranges(shards: Shards, subject: str, modalities: Sequence[str]) -> np.ndarray:
    """(modalities, 2): lowest and highest value of each real volume's tissue."""
    volumes = shards.read(subject, "images", channels=shards.modality_positions(modalities)).astype(np.float32)
    tissues = (volume[volume != 0] for volume in volumes.swapaxes(0, 1))
    return np.array([(tissue.min(), tissue.max()) for tissue in tissues])


def _shown_slice(shards: Shards, slices: SliceSet, regions: Regions) -> int:
    """Position of the slice to show: chosen by the truth alone, so that it is the same for every method."""
    codes = {code for group in regions.values() for code in group}
    sizes = np.zeros(len(slices), dtype=int)
    for position, subject in enumerate(slices.subjects):
        own = slices.subject_of == position
        voxels = shards.code_voxels(subject)
        for code in codes & voxels.keys():
            sizes[own] += voxels[code][slices.rows[own]]
    totals = np.bincount(slices.subject_of, weights=sizes)
    typical = np.median(totals[totals > 0]) if totals.any() else 0
    distance = np.where(totals > 0, np.abs(totals - typical), np.inf) if totals.any() else totals
    return int(np.where(slices.subject_of == distance.argmin(), sizes, -1).argmax())


def _pair_similarity(passes: Passes, slices: SliceSet, count: int, seed: int) -> np.ndarray:
    """(2n, 2n) cosines between the features that L_C compares, of n random pairs: first X's, then Y's."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(slices))[:count])
    features = at_least_single(passes.features(slices.batch(chosen).images)).flatten(1)
    unit = F.normalize(features, dim=1)
    return (unit @ unit.T).cpu().numpy()

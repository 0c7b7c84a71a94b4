"""Register a modality onto the reference where the scanner's coordinates do not align them: rigid, or rigid and then affine.

Mattes mutual information (Mattes et al., IEEE TMI 22(1), 2003) by SimpleITK, from coarse to fine. The result is a
transform, not an image: it is applied in the one resampling of preprocessing. It starts from the files' coordinates, which are
kept where registration does not raise the similarity.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from mcd.imaging.geometry import Grid, array_of, resample
from mcd.imaging.registration_summary import REGISTRATIONS

# All our choice, the paper having registered cohorts. docs/how_to/registration.md has what they recover and what they cost.
WORKING_MM = 2.0
_LEVELS = ((4, 4.0), (2, 2.0), (1, 0.0))  # shrink factor and smoothing in mm: 8, 4 and 2 mm
_BINS = 32
_SAMPLES, _SEED = 30_000, 1  # voxels compared at each level
_FIRST_STEP, _LAST_STEP, _STEPS = 4.0, 0.01, 100  # of the gradient descent, which halves its step when it turns round
_SURROUNDINGS_MM = 10.0  # compared beside the content itself: the outline of a body says more than its inside
# Mutual information knows only what lies in both images, so that a small image gains by leaving the field of view. So the
# voxels compared lie at first this far inside the moving image, and it goes on beyond its edge with the values there.
_MARGIN_MM, _PADDING_MM = 10.0, 50.0
_BELIEVED = 0.1  # of the smaller image inside the other one, and the files' coordinates are the start
_FEWEST = 500  # voxels (4 ml) that similarity is computed on
_KEPT = 0.9  # of the voxels covered at first that have to stay covered
# Mutual information has maxima a little above the true one, the more so in small or dull images (docs/how_to/registration.md):
# a transform that takes a modality far from its file's coordinates has to gain by it.
_FAR_MM, _GAIN = 5.0, 1.05


@dataclass(frozen=True)
class Registration:
    """How one modality came onto the reference.

    kind: "rigid" or "affine". transform: from the reference's world to the modality's. before, after: similarity by the files'
    coordinates and by the transform, see `_similarity`. displacement: how far the transform moves the voxels compared, mean in
    mm. problem: empty, or why what was found was not taken; where nothing was taken, `after` is that of what was found, and
    the transform is the identity.
    """

    kind: str
    transform: sitk.AffineTransform
    before: float
    after: float
    displacement: float
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain types: x' = `matrix` (row by row) x + `translation`, in mm and LPS world coordinates."""
        return {
            "kind": self.kind,
            "matrix": list(self.transform.GetMatrix()),
            "translation": list(self.transform.GetTranslation()),
            "similarity_before": round(self.before, 6),
            "similarity_after": round(self.after, 6),
            "displacement_mm": round(self.displacement, 4),
            "problem": self.problem,
        }


def transform_of(info: Mapping[str, Any], modality: str) -> sitk.AffineTransform:
    """Return the transform from the reference's world to a modality's that an `info.json` has; else the identity."""
    numbers = info.get("registration", {}).get(modality)
    if numbers is None:
        return sitk.AffineTransform(3)
    return sitk.AffineTransform(numbers["matrix"], numbers["translation"])


def coarse(image: sitk.Image) -> sitk.Image:
    """Return an image averaged to voxels of about `WORKING_MM`, as float32; axes that are coarser stay as they are."""
    factors = [max(1, round(WORKING_MM / side)) for side in image.GetSpacing()]
    return sitk.BinShrink(sitk.Cast(image, sitk.sitkFloat32), factors)


def window(image: sitk.Image, region: np.ndarray, percentiles: tuple[float, float]) -> sitk.Image:
    """Return an image clipped to percentiles of its region (z, y, x), so that a hot spot does not fill most bins."""
    values = sitk.GetArrayViewFromImage(image)
    low, high = np.percentile(values[region] if region.any() else values, percentiles)
    return sitk.Clamp(image, sitk.sitkFloat32, float(low), float(high))


def surroundings(region: np.ndarray, grid: Grid) -> np.ndarray:
    """Return a region (z, y, x) and what lies within 10 mm of it along the axes."""
    radius = [round(_SURROUNDINGS_MM / side) for side in grid.spacing]
    return array_of(sitk.GrayscaleDilate(grid.image(region), radius, sitk.sitkBox)) > 0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let ITK use one thread: several add up their histograms in any order, and the steps follow the last digit.

    For all of the process, since a metric does not heed the number that its own registration is given.
    """
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


@_one_thread()
def register(
    fixed: sitk.Image, moving: sitk.Image, compared: np.ndarray, moving_region: np.ndarray, kind: str
) -> Registration:
    """Find the transform from the world of `fixed` to that of `moving`: the same from run to run, whatever the cores.

    The files' coordinates are the start, unless less than a tenth of the smaller image lies in the other one; then it is
    the middle of one region upon that of the other. A stage that fails, does not raise the similarity, or moves the modality
    far for a negligible gain or out of the field of view is not taken, and ends the registration with a `problem`; nothing
    is raised.

    Args:
        fixed: the reference, on a grid of `WORKING_MM`, clipped by `window`.
        moving: the modality on its own grid, from `coarse` and `window`.
        compared: (z, y, x) booleans on the grid of `fixed`: the voxels that count.
        moving_region: (z, y, x) booleans on the grid of `moving`: where its content is.
        kind: "rigid", or "affine" for rigid and then affine.
    """
    grid, identity = Grid.of(fixed), sitk.AffineTransform(3)
    centre = _centre(grid, compared)
    start = sitk.Euler3DTransform()
    start.SetCenter(centre.tolist())
    if _in_common(grid, moving) < _BELIEVED:
        start.SetTranslation((_centre(Grid.of(moving), moving_region) - centre).tolist())
    sampled = grid.image(compared & _seen(moving, grid, start, _MARGIN_MM))
    edge = [int(np.ceil(_PADDING_MM / side)) for side in moving.GetSpacing()]
    endless = sitk.ZeroFluxNeumannPad(moving, edge, edge)

    # Judged smoothed: voxels that happen to coincide need no interpolation, which alone would raise what they share.
    smooth, smooth_moving = (sitk.SmoothingRecursiveGaussian(image, WORKING_MM) for image in (fixed, moving))
    best, problem = identity, ""
    before, covered = _similarity(smooth, smooth_moving, identity, compared)
    after = before
    for stage in ("rigid", "affine")[: REGISTRATIONS.index(kind)]:
        found = start if stage == "rigid" else _affine_about(centre, best)
        try:
            _optimise(fixed, endless, sampled, found, _LEVELS if stage == "rigid" else _LEVELS[1:])
        except RuntimeError as error:  # ITK's, where no voxel is in common or an image is constant
            logging.warning("%s registration: %s", stage, error)
            problem = f"{stage} registration failed, for the two images have too little in common"
            break
        candidate = _plain(found)
        similarity, still = _similarity(smooth, smooth_moving, candidate, compared)
        moved = _displacement(grid, compared, best, candidate)
        problem = _objection(stage, (after, similarity), (covered, still), moved)
        if not problem or best is identity:
            after = similarity
        if problem:
            break
        best = candidate
    return Registration(kind, best, before, after, _displacement(grid, compared, identity, best), problem)


def _objection(stage: str, similarity: tuple[float, float], covered: tuple[float, float], moved: float) -> str:
    """Return why a stage is not taken, given similarity and share covered before and after it, and mm moved; else nothing."""
    (before, after), (at_first, still) = similarity, covered
    if not after > before:
        return f"{stage} registration brought the similarity from {before:.4f} to {after:.4f}"
    if still < _KEPT * at_first:
        return (
            f"{stage} registration moved it out of the field of view: it covers {still:.0%} instead of {at_first:.0%}"
        )
    if after < _GAIN * before and moved > _FAR_MM:
        return (
            f"{stage} registration would move it by {moved:.1f} mm for a negligible gain, a similarity of {after:.4f} "
            f"instead of {before:.4f}"
        )
    return ""


def _optimise(
    fixed: sitk.Image,
    moving: sitk.Image,
    sampled: sitk.Image,
    transform: sitk.Transform,
    levels: tuple[tuple[int, float], ...],
) -> None:
    """Change `transform` for the highest mutual information over the voxels of `sampled`; raises ITK's `RuntimeError`."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(sampled)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([factor for factor, _ in levels])
    method.SetSmoothingSigmasPerLevel([sigma for _, sigma in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    inside = max(1, int(np.count_nonzero(sitk.GetArrayViewFromImage(sampled))))
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel(
        [min(1.0, _SAMPLES * factor**3 / inside) for factor, _ in levels], seed=_SEED
    )
    method.SetOptimizerAsRegularStepGradientDescent(_FIRST_STEP, _LAST_STEP, _STEPS, gradientMagnitudeTolerance=1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)


def _similarity(
    fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform, compared: np.ndarray
) -> tuple[float, float]:
    """Return the similarity, and the share of the voxels compared that `moving` covers.

    The similarity is the mutual information in nats over the voxels covered, times their share: without it, an image that
    leaves the field of view would gain. It is 0 where almost no voxel is covered, or for a constant image.
    """
    covered = compared & _seen(moving, Grid.of(fixed), transform)
    if covered.sum() < _FEWEST:
        return 0.0, 0.0
    share = float(covered.sum() / compared.sum())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(Grid.of(fixed).image(covered))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform)
    try:
        return -float(method.MetricEvaluate(fixed, moving)) * share, share
    except RuntimeError as error:
        logging.warning("similarity: %s", error)
        return 0.0, share


def _seen(moving: sitk.Image, grid: Grid, transform: sitk.Transform, margin: float = 0.0) -> np.ndarray:
    """Return (z, y, x) booleans: which voxels of `grid` come to lie in `moving`, at least `margin` mm from its edge.

    The margin is at most a fifth of the image on either side.
    """
    own = Grid.of(moving)
    edge = [min(int(np.ceil(margin / side)), voxels // 5) for side, voxels in zip(own.spacing, own.size, strict=True)]
    whole = np.zeros(own.shape, dtype=np.uint8)
    whole[tuple(slice(width, voxels - width) for width, voxels in zip(edge[::-1], own.shape, strict=True))] = 1
    return array_of(resample(own.image(whole), grid, transform)) > 0


def _in_common(grid: Grid, moving: sitk.Image) -> float:
    """Return the volume in common by the files' coordinates, as a share of the smaller one."""
    shared = _seen(moving, grid, sitk.Transform()).sum() * grid.voxel_ml
    return float(shared / min(np.prod(one.size) * one.voxel_ml for one in (grid, Grid.of(moving))))


def _centre(grid: Grid, region: np.ndarray) -> np.ndarray:
    """Return the middle (x, y, z) in mm of a region's voxels, or of the grid where the region is empty."""
    if not region.any():
        return grid.world((np.asarray([grid.size]) - 1) / 2)[0]
    counts = [region.sum(axis=tuple({0, 1, 2} - {axis})) for axis in (2, 1, 0)]
    return grid.world(np.asarray([[np.average(np.arange(len(count)), weights=count) for count in counts]]))[0]


def _affine_about(centre: np.ndarray, transform: sitk.AffineTransform) -> sitk.AffineTransform:
    """Return a transform as one about a centre, where turning does not also shift."""
    shift = np.asarray(transform.TransformPoint(centre.tolist())) - centre
    return sitk.AffineTransform(transform.GetMatrix(), shift.tolist(), centre.tolist())


def _plain(transform: sitk.Euler3DTransform | sitk.AffineTransform) -> sitk.AffineTransform:
    """Return a linear transform as a matrix and a translation, without a centre."""
    return sitk.AffineTransform(transform.GetMatrix(), transform.TransformPoint((0.0, 0.0, 0.0)))  # type: ignore[no-untyped-call]


def _displacement(grid: Grid, region: np.ndarray, one: sitk.AffineTransform, other: sitk.AffineTransform) -> float:
    """Return how far apart two transforms take the voxels of a region, mean in mm over some ten thousands of them."""
    voxels = np.flatnonzero(region)
    if not len(voxels):
        return 0.0
    chosen = np.unravel_index(voxels[:: max(1, len(voxels) // 20_000)], grid.shape)
    points = grid.world(np.stack(chosen[::-1], axis=1))
    matrix = np.reshape(other.GetMatrix(), (3, 3)) - np.reshape(one.GetMatrix(), (3, 3))
    shift = np.asarray(other.GetTranslation()) - one.GetTranslation()
    return float(np.linalg.norm(points @ matrix.T + shift, axis=1).mean())

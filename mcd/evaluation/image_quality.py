"""Similarity of an image to its original (SSIM), and of a set of images to a set of originals (FID). No torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIGMA, RADIUS = 1.5, 5  # pixels: the 11 x 11 Gaussian window of Wang et al. 2004
K1, K2 = 0.01, 0.03  # Wang et al. 2004


def ssim(real: NDArray[Any], made: NDArray[Any], data_range: float) -> NDArray[np.float64]:
    """Structural similarity (Wang et al. 2004) of each slice: (N,) from two stacks (N, H, W) of at least 11 x 11 pixels.

    Window, constants and the plain (not sample) moments are the publication's; the mean is over the positions where the window
    lies entirely inside the slice.

    Args:
        data_range: L of the formula: the range of values that the images could have.

    Raises:
        ValueError: for other shapes, or a range that is not above 0.
    """
    axes = {"sigma": SIGMA, "radius": RADIUS, "axes": (1, 2)}
    x, y = np.asarray(real, dtype=np.float64), np.asarray(made, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 3 or min(x.shape[1:]) < 2 * RADIUS + 1:
        raise ValueError(f"SSIM needs two stacks of one shape and at least 11 x 11 pixels, not {x.shape} and {y.shape}")
    if not data_range > 0:
        raise ValueError(f"SSIM needs a data range above 0, not {data_range}")
    mean_x, mean_y = gaussian_filter(x, **axes), gaussian_filter(y, **axes)
    var_x = gaussian_filter(x * x, **axes) - mean_x**2
    var_y = gaussian_filter(y * y, **axes) - mean_y**2
    covariance = gaussian_filter(x * y, **axes) - mean_x * mean_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    inside = slice(RADIUS, -RADIUS)
    return (luminance * structure)[:, inside, inside].mean(axis=(1, 2))


def frechet_distance(real: NDArray[Any], made: NDArray[Any]) -> float:
    """Fréchet distance between two normal distributions fitted to features (N, D) and (M, D), the D of FID.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Heusel et al. 2017). With centred features A1, A2 and C = A^T A / (n - 1), the
    trace of the root is the sum of the singular values of A1 A2^T: no matrix root is taken, so that fewer images than
    features (a singular C) are no problem. In float64.

    Raises:
        ValueError: for other shapes, or fewer than two images on a side.
    """
    one, other = (np.asarray(features, dtype=np.float64) for features in (real, made))
    if one.ndim != 2 or one.shape[1:] != other.shape[1:] or min(len(one), len(other)) < 2:
        raise ValueError(
            f"FID needs the features of at least two images on each side, not {one.shape} and {other.shape}"
        )
    shift = one.mean(axis=0) - other.mean(axis=0)
    roots = [_root(one), _root(other)]
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    spread = sum(float((root**2).sum()) for root in roots)
    return max(float(shift @ shift + spread - 2 * shared), 0.0)  # rounding may leave equal sets slightly below 0


def _root(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """R of at most D rows with R^T R the covariance of (N, D) features."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(centred) > centred.shape[1] else centred

"""SSIM against a library, FID against the matrix square root."""

import numpy as np
import pytest
import torch
from monai.metrics.regression import SSIMMetric
from scipy.linalg import sqrtm

from mcd.evaluation.image_quality import frechet_distance, ssim

RNG = np.random.default_rng(0)


def pictures(count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:24, :30]
    real = np.sin(x / 4) + np.cos(y / 3) + RNG.normal(0, 0.2, (count, 24, 30))
    return real, real + RNG.normal(0, 0.5, real.shape)


def test_ssim_is_monais() -> None:
    real, made = pictures()
    measure = SSIMMetric(spatial_dims=2, data_range=torch.tensor(5.0), win_size=11, kernel_sigma=1.5)  # type: ignore[arg-type]
    expected = measure(torch.from_numpy(made)[:, None], torch.from_numpy(real)[:, None])
    assert isinstance(expected, torch.Tensor)
    np.testing.assert_allclose(ssim(real, made, 5.0), expected[:, 0], atol=1e-5)


def test_ssim_of_an_image_with_itself_is_one_and_falls_with_noise() -> None:
    real, _ = pictures(1)
    noise = RNG.normal(0, 1, real.shape)
    values = [ssim(real, real + level * noise, 4.0)[0] for level in (0, 0.1, 0.3, 1)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)


def test_ssim_is_the_same_on_another_scale() -> None:
    real, made = pictures()
    np.testing.assert_allclose(ssim(real, made, 5.0), ssim(100 * real, 100 * made, 500.0))


@pytest.mark.parametrize("shape", [(1, 10, 30), (24, 30)])
def test_ssim_refuses_what_the_window_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(np.zeros(shape), np.zeros(shape), 1.0)


def by_definition(one: np.ndarray, other: np.ndarray) -> float:
    shift = one.mean(axis=0) - other.mean(axis=0)
    first, second = (np.cov(features, rowvar=False) for features in (one, other))
    return float(shift @ shift + np.trace(first + second - 2 * np.real(sqrtm(first @ second))))


@pytest.mark.parametrize(("count", "more", "features"), [(60, 50, 12), (200, 20, 12), (90, 90, 40)])
def test_fid_is_that_of_the_matrix_square_root(count: int, more: int, features: int) -> None:
    mixing = RNG.normal(size=(features, features))
    one = RNG.normal(size=(count, features)) @ mixing
    other = RNG.normal(size=(more, features)) * RNG.uniform(0.5, 2, features) + RNG.normal(size=features)
    assert frechet_distance(one, other) == pytest.approx(by_definition(one, other), rel=1e-9)


def test_fid_with_fewer_images_than_features_is_that_of_the_eigenvalues() -> None:
    """The covariances are singular; the trace of the root is the sum of the roots of the product's eigenvalues."""
    one, other = RNG.normal(size=(8, 30)), RNG.normal(0.5, 2, size=(11, 30))
    first, second = (np.cov(features, rowvar=False) for features in (one, other))
    roots = np.sqrt(np.clip(np.linalg.eigvals(first @ second).real, 0, None)).sum()
    shift = one.mean(axis=0) - other.mean(axis=0)
    expected = shift @ shift + np.trace(first) + np.trace(second) - 2 * roots
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-5)


def test_fid_of_two_images_a_side() -> None:
    one, other = RNG.normal(size=(2, 2, 3))
    assert frechet_distance(one, other) == pytest.approx(by_definition(one, other), rel=1e-5)


def test_fid_between_normal_distributions_of_one_feature() -> None:
    """(m1 - m2)^2 + (s1 - s2)^2, by hand."""
    one = np.array([[0.0], [2.0]])  # mean 1, variance 2
    other = np.array([[1.0], [5.0]])  # mean 3, variance 8
    assert frechet_distance(one, other) == pytest.approx(4 + (np.sqrt(8) - np.sqrt(2)) ** 2)


def test_fid_of_a_set_with_itself_is_zero_whatever_the_order_and_grows_with_noise() -> None:
    features = RNG.normal(size=(50, 20))
    assert frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-9)
    noise = RNG.normal(size=features.shape)
    values = [frechet_distance(features, features + level * noise) for level in (0.1, 0.5, 1, 3)]
    assert values == sorted(values)
    assert values[0] > 0


@pytest.mark.parametrize("shapes", [((1, 4), (9, 4)), ((9, 4), (9, 5)), ((9,), (9,))])
def test_fid_refuses_what_has_no_covariance(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="FID"):
        frechet_distance(np.zeros(shapes[0]), np.zeros(shapes[1]))

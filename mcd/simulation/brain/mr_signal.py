"""From tissues to MR scans: relaxation times, signal equations, and scanner effects (arrays (z, y, x), times in ms)."""

from dataclasses import dataclass

import numpy as np

from mcd.simulation.fields import Array, SamplingGrid, rician, smooth_field

RELAXIVITY = 0.0045  # increase of 1/T1 per mmol/l of a gadolinium agent at 1.5 to 3 T, 1/ms


@dataclass(frozen=True)
class Tissue:
    """Proton density (water is 1), T1 and T2."""

    pd: float
    t1: float
    t2: float


MR_TISSUES = {
    # Healthy values: proton density and times at 1.5 T that give realistic contrasts on the ICBM maps.
    "grey": Tissue(0.80, 1300, 95),
    "white": Tissue(0.70, 830, 75),
    "csf": Tissue(1.00, 4000, 1800),
    # Our choice: flow loses the signal of a late echo, hardly that of an early one.
    "vessel": Tissue(0.75, 1600, 35),
    "meninges": Tissue(0.60, 1100, 60),
    "choroid": Tissue(0.85, 1700, 160),
    # Our choice: between white matter and water, so that the order of intensities in every sequence is the known one.
    "oedema": Tissue(0.82, 1600, 200),
    "gliosis": Tissue(0.80, 1400, 160),
    "solid": Tissue(0.82, 1500, 160),
    "necrosis": Tissue(0.92, 1900, 280),
    "cyst": Tissue(0.98, 3300, 900),
    "blood": Tissue(0.75, 560, 55),
    "meningioma": Tissue(0.80, 1400, 100),
}


@dataclass(frozen=True)
class PulseSequence:
    """A spin echo, or with `ti` an inversion recovery read out after `te`."""

    tr: float
    te: float
    ti: float | None = None
    contrast_agent: bool = False

    def signal(self, tissue: Tissue, concentration: float = 0.0) -> float:
        """Signed signal of a tissue with this concentration of contrast agent (mmol/l; ignored by a scan without it)."""
        agent = RELAXIVITY * concentration if self.contrast_agent else 0.0
        t1 = 1 / (1 / tissue.t1 + agent)
        recovered = 1 - np.exp(-self.tr / t1)
        if self.ti is not None:
            recovered = 1 - 2 * np.exp(-self.ti / t1) + np.exp(-self.tr / t1)
        return float(tissue.pd * recovered * np.exp(-self.te / tissue.t2))


def protocol(rng: np.random.Generator) -> dict[str, PulseSequence]:
    """One hospital's settings, varied about TR/TE 600/12 for T1, 5000/100 for T2, and 9000/110 with TI 2400 for FLAIR.

    Four in ten acquire T1 and T1CE as inversion-prepared gradient echoes, with their stronger grey-white contrast.
    """

    def about(value: float, spread: float) -> float:
        return float(value * np.exp(spread * rng.standard_normal()))

    gradient_echo = PulseSequence(about(2000, 0.1), 4, about(900, 0.07))
    spin_echo = PulseSequence(about(600, 0.2), about(12, 0.1))
    t1 = gradient_echo if rng.random() < 0.4 else spin_echo
    t2 = PulseSequence(about(5000, 0.15), about(98, 0.1))
    flair = PulseSequence(about(9000, 0.05), about(110, 0.12), about(2350, 0.03))
    t1ce = PulseSequence(t1.tr, t1.te, t1.ti, contrast_agent=True)
    return {"T1": t1, "T1CE": t1ce, "T2": t2, "FLAIR": flair}


def relaxation_times(rng: np.random.Generator) -> dict[str, Tissue]:
    """The tissues of one patient: times that vary between people, more in disease (10 %) than in health (6 %)."""
    healthy = {"grey", "white", "csf"}
    result = {}
    for name, tissue in MR_TISSUES.items():
        spread = 0.06 if name in healthy else 0.10
        t1, t2 = np.exp(spread * rng.standard_normal(2))
        result[name] = Tissue(tissue.pd, tissue.t1 * t1, tissue.t2 * t2)
    return result


def _slice_profile(grid: SamplingGrid, dimension: int, thickness: float, offset: float) -> tuple[Array, Array]:
    """Matrices that average voxels into slices of this thickness (slices, voxels) and interpolate back (voxels, slices)."""
    voxels = grid.axis(dimension)
    centres = np.arange(voxels[0] - offset * thickness, voxels[-1] + thickness, thickness, dtype=np.float32)
    distance = np.abs(voxels[None, :] - centres[:, None]) / np.float32(thickness)
    average = np.exp(-4 * np.log(2) * distance**2)  # a Gaussian slice profile, full width at half maximum = thickness
    average /= average.sum(1, keepdims=True)
    interpolate = np.maximum(1 - distance.T, 0)
    interpolate /= interpolate.sum(1, keepdims=True)
    return average.astype(np.float32), interpolate.astype(np.float32)


def _along(matrix: Array, volume: Array, dimension: int) -> Array:
    return np.ascontiguousarray(np.moveaxis(np.tensordot(matrix, volume, axes=(1, dimension)), 0, dimension))


def scan(
    rng: np.random.Generator, grid: SamplingGrid, signal: Array, *, reference: float, noise: float, isotropic: float
) -> Array:
    """The signal as acquired and registered: bias field, slices, Rician noise, interpolation.

    `reference`: the signal that the signal-to-noise ratio (14 to 40) refers to; `noise`: factor on the noise;
    `isotropic`: probability of a 3D scan. Others have slices of 2.5 to 5.5 mm in one direction, mostly axial, interpolated.
    """
    bias = 0.10 * smooth_field(rng, grid, 90.0) + 0.04 * smooth_field(rng, grid, 45.0)
    signal = signal * np.exp(bias)
    sigma = noise * reference / rng.uniform(14, 40)
    is_3d = rng.random() < isotropic
    dimension = int(rng.choice(3, p=(0.8, 0.1, 0.1)))
    thickness, offset = float(rng.uniform(2.5, 5.5 if dimension == 0 else 3.5)), float(rng.random())
    if is_3d or thickness <= grid.spacing[dimension]:
        image = rician(rng, signal, sigma)
    else:
        average, interpolate = _slice_profile(grid, dimension, thickness, offset)
        image = _along(interpolate, rician(rng, _along(average, signal, dimension), sigma * 0.5), dimension)
    for axis in range(3):  # registration to the atlas: linear interpolation between neighbours smooths image and noise
        part = np.float32(rng.uniform(0.1, 0.5))
        image = (1 - part) * image + part * np.roll(image, 1, axis) if grid.spacing[axis] < 1.5 else image
    return image

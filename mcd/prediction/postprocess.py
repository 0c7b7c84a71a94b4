"""What may be done to predicted masks before they are written: options, since no network of the paper's is helped so."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mcd.errors import McdError


@dataclass(frozen=True)
class PostProcessing:
    """Regions of which only the largest component is kept, and regions whose holes are filled; in this order."""

    largest_component: Collection[str] = ()
    fill_holes: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.largest_component or self.fill_holes)

    def check(self, regions: Collection[str]) -> None:
        """Raise `McdError` for a region that is none of `regions`."""
        for name in (*self.largest_component, *self.fill_holes):
            if name not in regions:
                raise McdError(f"region {name}: the models predict {', '.join(regions)}; name one of theirs")

    def apply(self, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return masks (z, y, x) by region after what is done to each; every region by itself."""
        found = dict(masks)
        for name in self.largest_component:
            found[name] = largest_component(found[name])
        for name in self.fill_holes:
            found[name] = ndimage.binary_fill_holes(found[name])
        return found

    def sentence(self) -> str:
        """What is done, in words; empty where nothing is."""
        parts = [("Largest component alone", self.largest_component), ("Holes filled", self.fill_holes)]
        return " ".join(f"{what}: {', '.join(regions)}." for what, regions in parts if regions)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Return the largest component of a mask (z, y, x), whose voxels touch by a face, an edge or a corner.

    Of several equal ones the first. Corners count for MONAI's `KeepLargestConnectedComponent` and for nnU-Net, too. A hole,
    accordingly, is background to which no path through faces leads from the volume's border.
    """
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count < 2:
        return mask
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])

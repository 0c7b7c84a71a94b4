"""What the figures need of a translation: one slice with its images, and the similarity of paired features. No torch.

The file is described in docs/reference/formats.md, "Translations".
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcd.hdf5 import new_file, open_file, reading, set_attributes, texts

FORMAT = "mcd-translation/2"


@dataclass(frozen=True)
class Examples:
    """Of one pre-training, on test patients.

    Attributes:
        modalities: the pair (X, Y).
        subject, row: patient and slice that is shown.
        spacing: (y, x) mm of a pixel.
        images: (6, H, W) z-scores: X, Y, X', Y', X'', Y''; the last two NaN where the method makes no reconstructions.
        ranges: (2, 2) lowest and highest value of the tissue of the patient's real volume, for X and for Y.
        similarity: (2n, 2n) cosine between the features of n pairs of slices: n of X, then their n partners of Y.
    """

    modalities: tuple[str, str]
    subject: str
    row: int
    spacing: tuple[float, float]
    images: np.ndarray
    ranges: np.ndarray
    similarity: np.ndarray

    def grey(self, index: int) -> np.ndarray:
        """An image (position in `images`) on the scale of its real volume, 0 to 1; values beyond are not clipped.

        Black where the real image of its modality has no tissue.
        """
        low, high = self.ranges[index % 2]
        return np.where(self.images[index % 2] != 0, (self.images[index] - low) / (high - low), 0.0)

    def error(self, index: int) -> np.ndarray:
        """|made - real|, as a share of the real volume's range, outside the tissue too."""
        low, high = self.ranges[index % 2]
        return np.abs(self.images[index] - self.images[index % 2]) / (high - low)


def write_examples(examples: Examples, path: str | Path) -> None:
    """Write atomically."""
    with new_file(path, FORMAT) as file:
        set_attributes(
            file,
            modalities=list(examples.modalities),
            subject=examples.subject,
            row=examples.row,
            spacing=examples.spacing,
        )
        for name in ("images", "ranges", "similarity"):
            values = np.asarray(getattr(examples, name), dtype=np.float32)
            file.create_dataset(name, data=values, compression="gzip", fletcher32=True)


def read_examples(path: str | Path) -> Examples:
    """Read a file of `write_examples`.

    Raises:
        McdError: if the file is missing, unreadable or of another format.
    """
    with open_file(path, FORMAT) as file, reading(path):
        x, y = texts(file, "modalities")
        height, width = map(float, file.attrs["spacing"])
        return Examples(
            modalities=(x, y),
            subject=texts(file, "subject")[0],
            row=int(file.attrs["row"]),
            spacing=(height, width),
            **{name: file[name][:] for name in ("images", "ranges", "similarity")},
        )

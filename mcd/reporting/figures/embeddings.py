"""Fig. 3: the features of paired slices, in two dimensions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mcd.errors import McdError
from mcd.pair import Pair
from mcd.reporting.figures.style import AUXILIARY, EDGE, MODALITIES, ONE_COLUMN, TWO_COLUMNS, figure, house_style, save
from mcd.reporting.figures.translations import Translated
from mcd.translation.examples import read_examples


@house_style()
def draw_embeddings(shown: Sequence[Translated], seed: int, path: str | Path) -> None:
    """Fig. 3: one row per method, one column per pair of modalities; a line joins the two modalities of a slice.

    Each panel gives the cosine distance in the feature space itself (0 is the same direction, 1 is orthogonal), since
    distances in a t-SNE have no unit: the mean over paired slices, and over unpaired ones.
    """
    methods = list(dict.fromkeys(made.method for made in shown))
    pairs = list(dict.fromkeys((made.cohort, made.pair) for made in shown))
    by_place = {(made.cohort, made.pair, made.method): made for made in shown}
    side = min(60, TWO_COLUMNS / len(pairs))
    drawn = figure(height=(side + 4) * len(methods) + 14, width=max(side * len(pairs), ONE_COLUMN))
    panels = drawn.subplots(len(methods), len(pairs), squeeze=False)
    for line, method in zip(panels, methods, strict=True):
        for panel, pair in zip(line, pairs, strict=True):
            made = by_place[(*pair, method)]
            similarity = read_examples(made.examples).similarity
            x, y = np.split(embed(similarity, seed), 2)
            panel.plot([x[:, 0], y[:, 0]], [x[:, 1], y[:, 1]], color=AUXILIARY, linewidth=0.6, zorder=1)
            for points, look in zip((x, y), MODALITIES, strict=True):
                panel.plot(*points.T, look.marker, color=look.color, **EDGE, linestyle="none")
            paired, others = distances(similarity)
            cohort = f"{made.cohort_label}, {made.pair}\n" if method == methods[0] else ""
            panel.set_title(f"{cohort}{method}: pairs {paired:.3f}, others {others:.3f}")
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(True)
            panel.grid(False)
            panel.margins(0.08)
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, linestyle="none", label=", ".join(dict.fromkeys(names)))
        for names, look in zip(zip(*(Pair(pair).modalities for _, pair in pairs), strict=True), MODALITIES, strict=True)
    ]
    handles.append(Line2D([], [], color=AUXILIARY, linewidth=0.6, label="the same slice"))
    words = "numbers: mean cosine distance across modalities\nbetween features of paired and of other slices"
    drawn.legend(handles=handles, loc="outside lower center", ncols=3, title=words)
    save(drawn, path)


def distances(similarity: NDArray[Any]) -> tuple[float, float]:
    """Mean cosine distance across modalities, of paired and of unpaired slices, from (2n, 2n) cosines (X first)."""
    half = len(similarity) // 2
    across = 1 - similarity[:half, half:].astype(np.float64)
    paired = np.eye(half, dtype=bool)
    return float(across[paired].mean()), float(across[~paired].mean())


def embed(similarity: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """t-SNE (van der Maaten and Hinton 2008) of features by their (n, n) cosines: (n, 2), the same for the same seed.

    t-SNE takes squared Euclidean distances; between features of unit length these are 2 (1 - cosine).
    """
    from sklearn.manifold import TSNE  # slow to load, and only this needs it

    if len(similarity) < 4:
        raise McdError(
            f"Fig. 3: {len(similarity) // 2} pair of test slices is too few; hold out more patients for testing"
        )
    squared = np.clip(2 - 2 * similarity.astype(np.float64), 0, None)
    np.fill_diagonal(squared, 0)
    made = TSNE(
        metric="precomputed",
        method="exact",
        init="random",
        perplexity=min(30.0, (len(similarity) - 1) / 3),  # its authors' default; it must be below the number of points
        random_state=seed,
    )
    return made.fit_transform(squared)

"""Figures of numbers: what is drawn is what the table says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from mcd import plan
from mcd.config import load_config
from mcd.csv_files import read_csv
from mcd.errors import McdError
from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import write_scores
from mcd.reporting.figures import score_plots
from mcd.reporting.tables.score_tables import write_table

PATIENTS = 5


def cohort(layout: str, modalities: list[str], pairs: list[str]) -> dict[str, Any]:
    return {
        "layout": layout,
        "simulate": {"subjects": 10},
        "modalities": modalities,
        "pairs": pairs,
        "regions": {"WT": [1, 2], "TC": [1]},
        "preprocessing": {"size": [32, 32]},
    }


CONFIG = load_config(
    {
        "cohorts": {
            "hecktor": cohort("hecktor2020", ["CT", "PET"], ["CT-PET"]),
            "brats": cohort("brats2018", ["T1CE", "T2", "FLAIR", "T1"], ["T1CE-T2", "FLAIR-T1"]),
        },
        "methods": ["fully_supervised", "simclr", "mt", "multi_condos"],
        "seeds": [0, 1],
        "curve_ratios": [0.05, 0.2],
        "sharing_ratios": [0.1, 1.0],
    }
)
DRAW: dict[str, Callable[..., None]] = {
    "fig5": score_plots.draw_ratio_curves,
    "fig6": score_plots.draw_sharing,
    "fig7": score_plots.draw_feature_losses,
    "fig8": score_plots.draw_groupings,
}

RANKING = pd.DataFrame(  # pairs and modalities in another order than in the figure
    {
        "pairing": ["FLAIR-T2, T1-T1CE", "T1-FLAIR, T1CE-T2", "T1CE-FLAIR, T1-T2"],
        "difference": [0.9, 0.8, 0.7],
        "ci_low": [0.85, 0.75, 0.65],
        "ci_high": [0.95, 0.85, 0.75],
    }
)


class Drawing:
    """A figure's scores, table and picture, and the figure itself as it was saved."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.comparison = plan.comparisons(CONFIG)[name]
        self.spec = self.comparison.spec
        self.draw = DRAW[name]
        rng = np.random.default_rng(0)
        identity = [vars(run) | {"label_ratio": run.ratio} for run in self.comparison.runs]
        write_scores(
            [
                run | {"subject": f"p{patient}", "region": region} | dict.fromkeys(METRIC_KEYS, rng.uniform(0.2, 0.9))
                for run in identity
                for patient in range(PATIENTS)
                for region in ("WT", "TC")
            ],
            folder / "scores.csv",
        )
        self.scores = pd.read_csv(folder / "scores.csv")
        self.source = folder / ("scores.csv" if name == "fig6" else "long.csv")
        write_table(
            [folder / "scores.csv"],
            self.spec,
            folder / "wide.csv",
            folder / "long.csv",
            folder / "page.html",
            folder / "page.json",
        )
        self.path = folder / f"{name}.png"
        self.figures: list[Figure] = []
        save = score_plots.save  # type: ignore[attr-defined]

        def keep(figure: Figure, path: Path) -> None:
            self.figures.append(figure)
            save(figure, path)

        monkeypatch.setattr(score_plots, "save", keep)

    def made(self) -> Figure:
        more = []
        if self.spec.name == "fig8":
            RANKING.to_csv(self.path.with_name("ranking.csv"), index=False)
            more = [{"brats": self.path.with_name("ranking.csv")}]
        self.draw([self.source] if self.source.name == "scores.csv" else self.source, self.spec, self.path, *more)
        return self.figures[-1]


@pytest.fixture(params=list(DRAW))
def drawing(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drawing:
    return Drawing(request.param, tmp_path, monkeypatch)


def drawn_values(figure: Figure) -> list[float]:
    """Heights of all markers that are drawn; the lines between groups have none."""
    lines = [line for panel in figure.axes for line in panel.lines if line.get_marker() not in ("None", "")]
    return sorted(float(value) for line in lines for value in np.asarray(line.get_ydata()))


def expected_values(drawing: Drawing) -> list[float]:
    if drawing.spec.name != "fig6":
        more = RANKING["difference"] if drawing.spec.name == "fig8" else []
        return sorted([*pd.read_csv(drawing.source)["value"], *more])
    one = drawing.scores.groupby(["method", "label_ratio", "modality"])[
        "DSC"
    ].mean()  # every patient has as many scores
    return sorted(one.groupby(["method", "label_ratio"]).sum())


def test_the_values_drawn_are_the_table_s(drawing: Drawing) -> None:
    drawn = drawn_values(drawing.made())
    assert drawn == pytest.approx(expected_values(drawing), abs=1e-5)


def test_a_panel_says_simulated_and_a_legend_names_everything(drawing: Drawing) -> None:
    figure = drawing.made()
    assert all("(simulated)" in panel.get_title() for panel in figure.axes)
    assert len(figure.axes) == {"fig5": 6, "fig6": 1, "fig7": 2, "fig8": 3}[drawing.spec.name]
    assert len(figure.legends[0].get_texts()) == len({row for _, row in drawing.spec.rows})


def test_the_same_numbers_give_the_same_bytes_in_both_formats(drawing: Drawing) -> None:
    drawing.made()
    first = [drawing.path.with_suffix(kind).read_bytes() for kind in (".png", ".pdf")]
    assert imread(drawing.path).std() > 0.05
    drawing.made()
    assert [drawing.path.with_suffix(kind).read_bytes() for kind in (".png", ".pdf")] == first


def test_a_missing_row_is_one_line_that_names_it(drawing: Drawing) -> None:
    table = pd.read_csv(read_csv(drawing.source))
    names = {"method": drawing.spec.methods.get("multi_condos", "?")}
    if drawing.spec.name == "fig6":
        lacking = table[table["method"] != "multi_condos"]
    else:
        names = {"method": table["method"].iloc[-1]}
        lacking = table[table["method"] != names["method"]]
    lacking.to_csv(drawing.source, index=False)
    with pytest.raises(McdError) as error:
        drawing.made()
    assert names["method"] in str(error.value)
    assert "\n" not in str(error.value)
    assert not drawing.path.exists()


def test_the_whiskers_are_the_table_s_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = Drawing("fig7", tmp_path, monkeypatch)
    ends = sorted(
        tuple(segment[:, 1])
        for panel in drawing.made().axes
        for lines in panel.collections
        for segment in lines.get_segments()  # type: ignore[attr-defined]
    )
    long = pd.read_csv(drawing.source)
    np.testing.assert_allclose(ends, sorted(zip(long["ci_low"], long["ci_high"], strict=True)), atol=1e-5)


def test_fig_8_sets_each_grouping_beside_how_different_its_pairs_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = Drawing("fig8", tmp_path, monkeypatch)
    panel = drawing.made().axes[-1]
    dots = [float(np.asarray(line.get_ydata())[0]) for line in panel.lines if line.get_marker() not in ("None", "")]
    assert dots == [0.8, 0.7, 0.9]  # A, B, C
    monkeypatch.setitem(globals(), "RANKING", RANKING.iloc[1:])
    with pytest.raises(McdError, match="does not rank C"):
        drawing.made()

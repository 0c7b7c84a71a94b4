"""The style that all figures share."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from mcd.methods import METHODS
from mcd.reporting.figures import style


@style.house_style()
def draw(path: Path) -> None:
    figure = style.figure(40, style.ONE_COLUMN)
    panel = figure.subplots()
    for key, look in style.LOOKS.items():
        panel.plot([0, 1], [0, len(key)], **look.line(), label=key)
    panel.set_xlabel("label ratio [%]")
    style.save(figure, path)


def test_a_figure_has_its_size_in_mm_and_the_same_bytes_whenever_it_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)  # which would hide a date
    draw(tmp_path / "a.png")
    time.sleep(1.1)  # a PDF's date counts seconds
    draw(tmp_path / "b.png")
    for kind in ("png", "pdf"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    height, width = imread(tmp_path / "a.png").shape[:2]
    assert (width, height) == (pytest.approx(88 / 25.4 * 300, abs=1), pytest.approx(40 / 25.4 * 300, abs=1))


def test_the_pdf_is_vector_with_text_as_text(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"/Subtype /Image" not in pdf


def test_every_method_has_a_look_of_its_own_without_its_colour_too() -> None:
    assert style.LOOKS.keys() == METHODS.keys()
    looks = [(look.color, look.marker) for look in style.LOOKS.values()]
    assert len(set(looks)) == len(looks)
    table2 = [style.LOOKS[key] for key in list(METHODS)[:15]]
    assert len({(look.marker, look.linestyle) for look in table2}) == 15


def test_the_style_ends_with_the_figure(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw(tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("mask", "length"),
    [
        ("0000 0110 0110 0000", 8 - 4 * (1 - 1 / 2**0.5)),  # a contour cuts corners at half a pixel
        ("0000 0011 0011 0000", 8 - 4 * (1 - 1 / 2**0.5)),  # as long at the edge of the image
        ("1111 1111 1111 1111", 16 - 4 * (1 - 1 / 2**0.5)),
        ("0000 0000 0000 0000", 0),
    ],
)
def test_an_outline_is_closed_at_the_edge_and_leaves_the_image_its_place(mask: str, length: float) -> None:
    panel = Figure().subplots()
    rows = np.array([[character == "1" for character in row] for row in mask.split()])
    panel.imshow(rows)
    limits = panel.get_xlim(), panel.get_ylim()
    style.outline(panel, rows, "red", 1)
    assert (panel.get_xlim(), panel.get_ylim()) == limits
    lines = [
        line
        for drawn in panel.collections
        for path in drawn.get_paths()
        for line in path.to_polygons(closed_only=False)
    ]
    assert sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in lines) == pytest.approx(length)
    assert all(np.array_equal(line[0], line[-1]) for line in map(np.asarray, lines))


@pytest.mark.parametrize("context", [style.house_style, style.plain_text])
def test_a_dollar_sign_is_no_formula(tmp_path: Path, context: Any) -> None:
    with context():
        figure = style.figure(40, style.ONE_COLUMN)
        figure.suptitle(r"$\frac$ of 5 $")
        style.save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0


def test_two_cohorts_regions_share_no_colour_until_the_palette_ends() -> None:
    found = style.region_colours({"hecktor": ["GTVt"], "brats": ["WT", "TC", "ET"]})
    assert found["hecktor"] == {"GTVt": style.REGIONS[0]}
    assert list(found["brats"]) == ["WT", "TC", "ET"]
    assert len({colour for colours in found.values() for colour in colours.values()}) == 4
    assert set(style.region_colours({"a": list("abcdefgh")})["a"].values()) == set(style.REGIONS)

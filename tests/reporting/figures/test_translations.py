"""Figs. 3 and 4: what is drawn is what the files hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from mcd.errors import McdError
from mcd.reporting.figures import embeddings, translations
from mcd.reporting.figures.embeddings import distances, draw_embeddings, embed
from mcd.reporting.figures.translations import Translated, draw_translations
from mcd.translation.examples import Examples, read_examples, write_examples


def cosines(noise: float, pairs: int = 20) -> np.ndarray:
    rng = np.random.default_rng(1)
    first = rng.normal(size=(pairs, 30))
    both = np.concatenate([first, first + noise * rng.normal(size=first.shape)])
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    return both @ both.T


def shown_in(panel: Axes) -> np.ndarray:
    values = panel.images[0].get_array()
    assert values is not None
    return values


@pytest.fixture
def shown(tmp_path: Path) -> list[Translated]:
    """Two pairs, two methods; the first makes no reconstructions."""
    rng = np.random.default_rng(0)
    found = []
    for cohort, pair in (("hecktor", "CT-PET"), ("brats", "FLAIR-T1")):
        real = rng.normal(size=(2, 16, 16))
        for place, method in enumerate(("P-GAN", "Multi-ConDoS")):
            images = np.concatenate([real, np.tile(real, (2, 1, 1)) + rng.normal(0, 0.5, (4, 16, 16))])
            if place == 0:
                images[4:] = np.nan
            x, y = pair.split("-")
            ranges = np.array([[-3.0, 3.0], [-4.0, 4.0]])
            path = tmp_path / f"{pair}{place}.h5"
            write_examples(Examples((x, y), "p1", 7, (1, 1), images, ranges, cosines(2 - 1.5 * place)), path)
            found.append(Translated(cohort, pair, path, method, f"{cohort} (simulated)"))
    return found


def kept(monkeypatch: pytest.MonkeyPatch, module: object) -> list[Figure]:
    figures: list[Figure] = []
    monkeypatch.setattr(module, "save", lambda figure, path, images=False: figures.append(figure))
    return figures


def test_every_image_stands_beside_its_error(
    shown: list[Translated], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = kept(monkeypatch, translations)
    draw_translations(shown, tmp_path / "fig4.png")
    panels = figures[0].axes[:-1]  # the last is the scale
    assert len(panels) == 2 * 4 * 5  # pairs, rows; real, and two methods with their errors
    read = [read_examples(made.examples) for made in shown]
    for line in range(8):
        real, image, error, other_image, other_error = panels[5 * line : 5 * line + 5]
        first, second = read[2 * (line // 4) : 2 * (line // 4) + 2]
        index = (2, 4, 3, 5)[line % 4]
        np.testing.assert_allclose(shown_in(real), first.grey(index % 2))
        np.testing.assert_allclose(shown_in(other_image), second.grey(index))
        np.testing.assert_allclose(shown_in(other_error), 100 * second.error(index))
        assert bool(image.images) == bool(error.images) == (index < 4)
    words = " ".join(text.get_text() for text in figures[0].texts)
    for word in ("hecktor (simulated), CT-PET, patient p1, slice 7", "P-GAN", "Multi-ConDoS", "% of the real"):
        assert word in words
    assert panels[5].get_ylabel() == "CT″\nfrom PET′"


def test_an_error_is_in_parts_of_the_real_range() -> None:
    images = np.zeros((6, 2, 2))
    images[3] = 2  # Y' where Y is 0
    examples = Examples(("A", "B"), "p", 0, (1, 1), images, np.array([[0, 1], [-2, 6]]), np.eye(4))
    np.testing.assert_allclose(examples.error(3), 0.25)
    np.testing.assert_allclose(examples.error(2), 0)
    np.testing.assert_allclose(examples.grey(3), 0)  # black: there is no tissue in Y
    images[1] = 1
    np.testing.assert_allclose(examples.grey(3), 0.5)


def test_methods_that_show_different_slices_are_refused(shown: list[Translated], tmp_path: Path) -> None:
    path = shown[1].examples
    write_examples(replace(read_examples(path), row=8), path)
    with pytest.raises(McdError, match="hecktor CT-PET show different slices"):
        draw_translations(shown, tmp_path / "fig4.png")


def test_lines_join_pairs_and_titles_have_their_distance(
    shown: list[Translated], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = kept(monkeypatch, embeddings)
    draw_embeddings(shown, 0, tmp_path / "fig3.png")
    assert len(figures[0].axes) == 4
    for place, panel in enumerate(figures[0].axes):
        made = shown[2 * (place % 2) + place // 2]
        similarity = read_examples(made.examples).similarity
        paired, others = distances(similarity)
        assert f"{made.method}: pairs {paired:.3f}, others {others:.3f}" in panel.get_title()
        *joints, first, second = panel.lines
        points = embed(similarity, 0)
        np.testing.assert_allclose(np.asarray(first.get_xydata()), points[:20])
        np.testing.assert_allclose(np.asarray(second.get_xydata()), points[20:])
        for index, joint in enumerate(joints):
            np.testing.assert_allclose(np.asarray(joint.get_xydata()), points[[index, 20 + index]])
        assert len(joints) == 20
    assert "hecktor (simulated), CT-PET" in figures[0].axes[0].get_title()


def test_the_distance_is_one_minus_the_cosine() -> None:
    x, y = np.array([[1.0, 0], [0, 1]]), np.array([[1.0, 0], [0.6, 0.8]])
    both = np.concatenate([x, y])
    paired, others = distances(both @ both.T)
    assert paired == pytest.approx((0 + 0.2) / 2)
    assert others == pytest.approx((0.4 + 1) / 2)


def test_an_embedding_follows_its_seed_and_keeps_close_pairs_together() -> None:
    similarity = cosines(0.1)
    points = embed(similarity, 0)
    np.testing.assert_array_equal(points, embed(similarity, 0))
    assert not np.allclose(points, embed(similarity, 1))
    apart = np.linalg.norm(points[:20, None] - points[None, 20:], axis=2)
    assert (apart.argmin(axis=1) == np.arange(20)).all()


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(McdError, match="too few"):
        embed(np.eye(2), 0)


@pytest.mark.parametrize("name", ["fig3", "fig4"])
def test_the_same_files_give_the_same_bytes(shown: list[Translated], tmp_path: Path, name: str) -> None:
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        if name == "fig3":
            draw_embeddings(shown[:2], 0, path)
        else:
            draw_translations(shown[:2], path)
    for kind in ("png", "pdf"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert imread(tmp_path / "a.png").std() > 0.05

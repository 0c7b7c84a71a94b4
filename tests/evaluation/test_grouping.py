"""The grouping adviser: how different two images look, and which pairing is the most different."""

from itertools import permutations
from math import prod

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import entropy

from mcd.errors import McdError
from mcd.evaluation.grouping import difference, explain, pairings, rank_pairings

RNG = np.random.default_rng(0)
SHAPE = (10, 30, 30)
IMAGE = RNG.normal(size=SHAPE).astype(np.float32)


def noisy(image: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    return image + noise * RNG.normal(size=image.shape).astype(np.float32)


@pytest.mark.parametrize("change", [lambda x: x, lambda x: 3 * x + 7, lambda x: -x, np.exp, lambda x: -(x**3)])
def test_a_change_of_grey_values_is_no_difference(change) -> None:  # type: ignore[no-untyped-def]
    assert difference(IMAGE, change(IMAGE)) == pytest.approx(0, abs=0.01)


def test_noise_makes_images_differ_until_nothing_is_in_common() -> None:
    scores = [difference(IMAGE, noisy(IMAGE, noise)) for noise in (0.01, 0.1, 0.5, 2, 100)]
    assert scores == sorted(scores)
    assert scores[0] < 0.2
    assert difference(IMAGE, RNG.permutation(IMAGE.ravel())) == pytest.approx(1, abs=0.01)


def test_a_relation_that_is_not_linear_counts() -> None:
    """Zero correlation, but the one is known from the other."""
    square = IMAGE**2
    assert abs(np.corrcoef(IMAGE.ravel(), square.ravel())[0, 1]) < 0.1
    assert difference(IMAGE, square) < 0.5


def test_it_is_symmetric_and_equals_the_definition() -> None:
    """Two bits of which the second copies the first in three of four voxels: entropies from scipy."""
    x = np.repeat([0, 1], 2000)
    y = np.concatenate([np.repeat([0, 1], [1500, 500]), np.repeat([0, 1], [500, 1500])])
    mutual = 2 * entropy([0.5, 0.5]) - entropy([0.375, 0.125, 0.125, 0.375])
    assert difference(x, y) == difference(y, x) == pytest.approx(1 - mutual / entropy([0.5, 0.5]))


def test_too_few_voxels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 200"):
        difference(np.arange(100), np.arange(100))
    with pytest.raises(ValueError, match="both images are constant"):
        difference(np.zeros(1000), np.ones(1000))


@pytest.mark.parametrize("count", range(2, 9))
def test_every_pairing_is_there_once(count: int) -> None:
    names = [f"M{number}" for number in range(count)]
    found = [frozenset(map(frozenset, way)) for way in pairings(names)]
    even = count + count % 2  # the one that stays alone has a partner that is not there
    assert len(found) == len(set(found)) == prod(range(1, even, 2))
    for way in found:
        assert len(frozenset().union(*way)) == 2 * len(way) == count - count % 2


def patient(seed: int) -> dict[str, NDArray[np.float32]]:
    """Four modalities: A and B nearly the same, C and D nearly the same, the two kinds unrelated."""
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    return {
        name: noisy(kinds[kind], 0.2 + 0.05 * place)
        for place, (name, kind) in enumerate(zip("ABCD", (0, 0, 1, 1), strict=True))
    }


PATIENTS = [(f"p{seed}", patient(seed)) for seed in range(3)]


def test_the_most_different_pairing_is_first_and_the_alike_last() -> None:
    table = rank_pairings(PATIENTS)
    assert table["pairing"].iloc[-1] == "A-B, C-D"
    assert list(table["rank"]) == [1, 2, 3]
    last = table.iloc[-1]
    assert last["difference"] == pytest.approx((last["A-B"] + last["C-D"]) / 2)
    assert (table["first_in"].sum(), last["first_in"]) == (3, 0)
    assert ((table["ci_low"] <= table["difference"]) & (table["difference"] <= table["ci_high"])).all()
    assert np.isnan(table.loc[0, "A-B"])
    sentence = explain(table)
    assert sentence.startswith(table["pairing"].iloc[0])
    assert f"first in {table['first_in'].iloc[0]} of 3 patients" in sentence


def test_the_order_of_modalities_and_patients_changes_nothing() -> None:
    def ranking(
        order: tuple[str, ...], patients: list[tuple[str, dict[str, NDArray[np.float32]]]]
    ) -> dict[object, float]:
        table = rank_pairings((name, {key: volumes[key] for key in order}) for name, volumes in patients)
        ways = [frozenset(frozenset(pair.split("-")) for pair in way.split(", ")) for way in table["pairing"]]
        return dict(zip(ways, table["difference"], strict=True))

    expected = ranking(("A", "B", "C", "D"), PATIENTS)
    for order in list(permutations("ABCD"))[::5]:
        assert ranking(order, PATIENTS[::-1]) == pytest.approx(expected)


def test_three_leave_one_alone_and_two_have_one_pairing() -> None:
    three = rank_pairings((name, {key: volumes[key] for key in "ABC"}) for name, volumes in PATIENTS)
    assert set(zip(three["pairing"], three["alone"], strict=True)) == {("A-B", "C"), ("A-C", "B"), ("B-C", "A")}
    assert three["pairing"].iloc[-1] == "A-B"
    assert "stays alone" in explain(three)
    two = rank_pairings((name, {key: volumes[key] for key in "AB"}) for name, volumes in PATIENTS[:1])
    assert list(two["pairing"]) == ["A-B"]
    assert "no other pairing" in explain(two)


def test_background_does_not_count() -> None:
    """Two images that share nothing but their black background are as different as without it."""
    volumes = {name: image.copy() for name, image in PATIENTS[0][1].items()}
    for image in volumes.values():
        image[:, :10] = 0
    cut = {name: image[:, 10:] for name, image in PATIENTS[0][1].items()}
    assert rank_pairings([("p", volumes)])["difference"].tolist() == rank_pairings([("p", cut)])["difference"].tolist()


@pytest.mark.parametrize(
    ("patients", "message"),
    [
        ([], "no patient"),
        ([("p", {"A": IMAGE})], "at least two modalities"),
        ([("p", {"A": IMAGE, "B": IMAGE}), ("q", {"A": IMAGE, "C": IMAGE})], "q: has A, C"),
        ([("p", {"A": IMAGE, "B": 0 * IMAGE})], "p: the modalities cannot be compared"),
    ],
)
def test_what_cannot_be_ranked_is_said_in_one_line(patients: list, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(McdError, match=message) as error:
        rank_pairings(patients)
    assert "\n" not in str(error.value)

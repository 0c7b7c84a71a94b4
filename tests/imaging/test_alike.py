"""Patients among others: another unit, encoding, voxel size or region is found; real variation is not."""

from typing import Any

import pytest

from mcd.imaging.alike import UNIT_FACTOR, another_unit, empty_regions, other_range, unlike_others

Statistics = tuple[float, float]
HU: list[Statistics] = [(-890, 310), (-420, 476), (-363, 1091), (-150, 1200), (-820, 260)]
SUV: list[Statistics] = [(0.02, 3.1), (0.05, 6.4), (0.01, 14.0), (0.03, 4.2)]
MR: list[Statistics] = [
    (3, 240),
    (60, 1900),
    (110, 780),
    (20, 4000),
    (-8, 650),
]  # scanners, and a spline that overshoots


def info(
    bounds: Statistics,
    region: str = "nonzero",
    spacing: tuple[float, float, float] = (1.0, 1.0, 3.0),
    boxed: bool = False,
) -> dict[str, Any]:
    low, high = bounds
    numbers = {"region": region, "p_low": low, "p_high": high, "mean": (low + high) / 2, "sd": (high - low) / 4}
    grid = {"size": [9, 9, 9], "spacing": list(spacing), "origin": [0, 0, 0], "direction": [1, 0, 0, 0, 1, 0, 0, 0, 1]}
    return {"statistics": {"A": numbers}, "raw_grids": {"A": grid}, "boxed": boxed}


def found(*infos: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (one.patient, one.problem) for one in unlike_others({f"p{number}": one for number, one in enumerate(infos)})
    ]


@pytest.mark.parametrize("region", ["nonzero", "body", "mask", "all"])
@pytest.mark.parametrize(
    ("odd", "word"),
    [
        ((24, 1102), "no negative values"),  # HU + 1024
        ((5, 64690), "no negative values|a range"),  # int16 read as unsigned
        ((0, 1), "a range"),
        ((0, 255), "no negative values"),
    ],
)
@pytest.mark.parametrize("others", [2, 5])
def test_a_ct_in_another_unit_is_found_alone(region: str, odd: Statistics, word: str, others: int) -> None:
    cohort = [info(bounds, region) for bounds in HU[:others]]
    ((patient, problem),) = found(*cohort, info(odd, region))
    assert patient == f"p{others}"
    assert f"intensities from {odd[0]} to {odd[1]} are" in problem
    assert "not in HU" in problem if region == "body" else any(part in problem for part in word.split("|"))


def test_ct_that_nobody_has_in_hu_is_found_where_the_rule_needs_it() -> None:
    assert [patient for patient, _ in found(*(info((0, 1), "body") for _ in range(3)))] == ["p0", "p1", "p2"]
    assert not found(*(info((0, 1), "nonzero") for _ in range(3)))


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        (SUV, (60.0, 14000.0)),  # Bq/ml
        (MR, (-1.9, 2.4)),  # z-scored
        (MR, (0.0, 1.0)),
        ([(-1.8, 2.5), (-2.2, 2.2), (-1.5, 3.1)], (20.0, 900.0)),
        (MR, (31000.0, 33000.0)),  # an offset of half of 16 bits
    ],
)
def test_another_unit_is_found_in_the_minority(usual: list[Statistics], odd: Statistics) -> None:
    assert [patient for patient, _ in found(*map(info, [*usual, odd]))] == [f"p{len(usual)}"]
    several = [*usual[:3], odd, (odd[0] * 1.1, odd[1] * 1.1)]
    assert [patient for patient, _ in found(*map(info, several))] == ["p3", "p4"]


def test_where_halves_differ_all_are_named() -> None:
    assert len(found(*map(info, [*SUV[:2], (50.0, 14000.0), (70.0, 9000.0)]))) == 4


@pytest.mark.parametrize("cohort", [HU, SUV, MR])
def test_scanners_and_patients_differ_within_one_unit(cohort: list[Statistics]) -> None:
    for count in range(1, len(cohort) + 1):
        assert not found(*map(info, cohort[:count]))
        assert not found(*map(info, cohort[-count:]))


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ((-1000, 1000), (100, 110), "a range 200 times as large"),
        ((100, 110), (-1000, 1000), "a range 200 times as small"),
        ((0, 100), (-80, 20), "no negative values"),
        ((-80, 20), (0, 100), "negative values"),
        ((31000, 33000), (100, 1900), "values about 31000 higher"),
        ((100, 1900), (31000, 33000), "values about 31000 lower"),
        ((100, 1900), (4100, 5900), None),  # within three ranges
    ],
)
def test_how_one_differs_from_the_other_is_said(one: Statistics, other: Statistics, said: str | None) -> None:
    assert another_unit(one, other) == said


@pytest.mark.parametrize("share", [0.98, 1.02])
def test_a_range_is_another_beyond_the_factor_in_either_direction(share: float) -> None:
    narrow, wide = (5.0, 7.0), (10.0, 10.0 + 2 * share * UNIT_FACTOR)
    assert other_range(narrow, wide) == other_range(wide, narrow) == (share > 1)


def test_organs_around_zero_are_no_other_unit() -> None:
    assert another_unit((-22, 190), (5, 160)) is None  # a liver in HU, without and with fat in its mask


def test_regions_of_another_kind_are_not_compared_but_told() -> None:
    masked = [info((0, 80), "mask"), info((4, 75), "mask")]  # a brain in HU
    ((patient, problem),) = found(*masked, info((-900, 300)), info((-800, 900)), info((-700, 400)))
    assert patient == ""
    assert problem.startswith("3 of 5 patients have no mask (p2, p3, p4)")


def test_boxes_of_some_patients_are_told() -> None:
    ((patient, problem),) = found(info((0, 9), boxed=True), info((0, 9), boxed=True), info((0, 9)))
    assert patient == ""
    assert problem.startswith("1 of 3 patients have no box (p2)")


def test_voxels_are_unlike_usual_ones_only() -> None:
    thin, thick, odd = (info((0, 9), spacing=spacing) for spacing in ((1, 1, 3), (1, 1, 5), (1, 1, 1)))
    assert found(thin, thin, odd) == [("p2", "voxels of 1 × 1 × 1 mm are unlike the others', usually 1 × 1 × 3 mm")]
    assert found(thin, odd, thin, thin, thin, odd)[0][1].endswith("so are those of 1 more (p5)")
    assert not found(thin, thick, odd)  # nothing is usual here
    assert not found(thin, thick)  # two patients do not say who is unlike
    assert not found(*(info((0, 9), spacing=(1, 1, side)) for side in (2, 2.5, 3, 3.27)))


def test_a_region_in_no_label_is_found_once_there_are_labels() -> None:
    volumes: list[dict[str, float]] = [{"1": 2.0}, {}, {"1": 0.5, "4": 1.0}]
    infos: dict[str, dict[str, Any]] = {f"p{number}": {"label": {"ml": ml}} for number, ml in enumerate(volumes)}
    infos["unlabelled"] = {"label": None}
    (empty,) = empty_regions(infos, {"WT": [1, 2, 4], "ET": [4], "RC": [3, 5]})
    assert str(empty) == "region RC: none of its codes (3, 5) is in any label; correct `regions`"
    assert not empty_regions({"unlabelled": {"label": None}}, {"WT": [1]})

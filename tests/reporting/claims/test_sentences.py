"""The paper's sentences: each names what there is, and compares what it says."""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from some_claims import CLAIMS, claim

from mcd import plan
from mcd.config import load_config
from mcd.methods import METHODS
from mcd.reporting.claims.judge import means_of
from mcd.reporting.claims.sentences import PRINTED, Claim, contrasts, reading
from mcd.reporting.printed.paper import reported

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made() -> dict[str, plan.Comparison]:
    config = load_config(yaml.safe_load((ROOT / "configs/paper.yaml").read_text()))
    return plan.comparisons(config) | plan.fusion_comparison(config)


def test_there_are_enough_from_every_table_and_figure() -> None:
    assert len({claim.number for claim in CLAIMS}) >= 60
    assert {claim.table for claim in CLAIMS} == {
        *(f"table{number}" for number in range(2, 10)),
        *("table_fusion", "fig5", "fig6", "fig7", "fig8"),
    }
    rows = Counter((claim.number, claim.metric, claim.modalities) for claim in CLAIMS)
    assert set(rows.values()) == {1}


@pytest.mark.parametrize(
    "claim", CLAIMS, ids=lambda claim: f"{claim.number}-{claim.metric}-{''.join(claim.modalities)}"
)
def test_a_claim_names_what_its_table_has(claim: Claim, made: dict[str, plan.Comparison]) -> None:
    """Methods, modalities, label ratios and metrics are those of the paper's configuration, or of the print."""
    if claim.table in made:
        spec = made[claim.table].spec
        methods = {method.split(":")[0] for _, method in spec.rows}
        modalities, ratios, metrics = (
            {name for _, name in spec.columns},
            {ratio for ratio, _ in spec.rows},
            set(spec.metrics),
        )
    elif claim.table in PRINTED:
        printed = reported(PRINTED[claim.table])
        methods, metrics = set(printed["method"]), set(printed["metric"])
        modalities, ratios = set(printed["modality"]), set()
        assert claim.dataset is None or claim.dataset in set(printed["dataset"])
    else:
        methods, modalities, ratios, metrics = {spec.label for spec in METHODS.values()}, set(), set(), {claim.metric}
    assert claim.methods
    assert set(claim.methods) <= methods
    elsewhere = (claim.than or {}).get("modalities", ())
    assert {*claim.modalities, *elsewhere} <= modalities
    assert {*claim.ratios, *claim.right_ratios} <= ratios
    assert claim.metric in metrics
    assert claim.source.split()[0] in ("Table", "Fig.", "Fusion")
    assert all(name in reading(claim) for name in (*claim.left, *claim.right))


@pytest.mark.parametrize(
    ("number", "modality", "expected"),
    [
        (1, (), 13 * 6 * 2),  # baselines, modalities, label ratios
        (2, (), 6 * 2),  # 5 % with 50 %, 10 % with 100 %
        (5, (), 14 * 6 * 2),
        (7, ("CT",), 1),
        (10, (), 2),  # a difference between two pairs of modalities, at two ratios
        (16, ("CT", "PET"), 13),  # sums over both modalities
        (38, (), 8 * 6),
        (43, (), 14 * 6),  # one step, from 5 to 10 %
        (51, (), 3 * 6),
    ],
)
def test_a_claim_compares_what_it_says(number: int, modality: tuple[str, ...], expected: int) -> None:
    (chosen,) = [
        claim
        for claim in CLAIMS
        if (claim.number, claim.metric) == (number, "DSC") and (claim.modalities == modality or not modality)
    ]
    found = contrasts(chosen, means_of(reported(chosen.printed or PRINTED[chosen.table])))
    assert len(found) == expected
    assert all(abs(sum(contrast.terms.values())) < 1e-12 for contrast in found)  # weights of a comparison cancel


def test_a_metric_where_less_is_better_turns_the_signs() -> None:
    cells = [("h", "CT", method, 0.1, metric) for method in "AB" for metric in ("DSC", "HD95")]
    (more,) = contrasts(claim(), cells)
    (less,) = contrasts(claim(metric="HD95"), cells)
    assert [more.terms[cells[0]], more.terms[cells[2]]] == [1, -1]
    assert [less.terms[cells[1]], less.terms[cells[3]]] == [-1, 1]


def test_a_sum_needs_all_its_modalities() -> None:
    cells = [("h", name, method, 0.1, "DSC") for name in ("CT", "PET") for method in "AB"]
    both = claim(modalities=("CT", "PET"), summed=True)
    assert len(contrasts(both, cells)) == 1
    assert contrasts(both, cells[:2]) == []


@pytest.mark.parametrize("wrong", [{"relation": "beats"}, {"over": "most"}, {"metric": "Dice"}])
def test_a_slip_in_the_data_is_noticed(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="claim 1"):
        claim(**wrong)

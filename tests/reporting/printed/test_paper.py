"""The paper's printed numbers, as the tables show them beside ours."""

import pytest

from mcd.errors import McdError
from mcd.reporting.printed.paper import ERRATA, reported


def value(table: str, method: str, modality: str, ratio: float, metric: str) -> float:
    numbers = reported(table)
    is_cell = (numbers["method"] == method) & (numbers["modality"] == modality) & (numbers["metric"] == metric)
    return float(numbers[is_cell & (numbers["label_ratio"] == ratio)]["value"].item())


def test_known_numbers() -> None:
    assert value("II", "Multi-ConDoS", "CT", 0.05, "DSC") == 0.3025
    assert value("II", "Multi-ConDoS", "CT", 0.10, "DSC") == 0.3442
    assert value("VI", "Rotation", "CT", 0.10, "HD95") == 58.8788


def test_every_table_is_there() -> None:
    sizes = {table: len(reported(table)) for table in ("II", "III", "IV", "V", "VI", "VII", "VIII", "IX")}
    assert sizes == {"II": 384, "III": 192, "IV": 144, "V": 168, "VI": 168, "VII": 90, "VIII": 60, "IX": 12}
    assert reported("IV")["value"].isna().sum() == 12  # P-GAN reconstructs nothing: a dash in print
    with pytest.raises(McdError, match=r"'X'.*II, III"):
        reported("X")


def test_a_caller_cannot_spoil_the_numbers() -> None:
    numbers = reported("II")
    numbers["value"] = 0.0
    assert reported("II")["value"].max() > 0.5


def test_errata_say_what_the_tables_say() -> None:
    at_10 = [("Multi-ConDoS", "0.3749/0.6149", "0.3586/0.4871"), ("Fully Supervised", "0.2476/0.3287", "0.2798/0.3934")]
    for method, in_ii, in_iii in at_10:
        for table, expected in (("II", in_ii), ("III", in_iii)):
            printed = "/".join(f"{value(table, method, 'T1', 0.1, metric):.4f}" for metric in ("DSC", "Sen"))
            assert printed == expected
            assert expected in ERRATA[table][0]
    assert value("II", "Multi-ConDoS", "T1CE", 0.05, "Sen") == 0.5747
    assert value("III", "Multi-ConDoS", "T1CE", 0.05, "Sen") == 0.5775
    assert value("V", "L_GAN+L_T+L_R+L_C", "T1CE", 0.05, "Sen") == 0.5775
    assert value("VIII", "Encoder_SL_D3", "T1", 0.1, "DSC") == 0.3749


def test_table_six_repeats_a_modality() -> None:
    for method in ("Rotation", "Jigsaw", "M-Jigsaw", "MT"):
        pairs = [[value("VI", method, modality, 0.1, m) for m in ("BIoU", "HD95")] for modality in ("T1CE", "T2")]
        assert any(one == other for one, other in zip(*pairs, strict=True))
    assert "Fully Supervised" not in set(reported("VI")["method"])

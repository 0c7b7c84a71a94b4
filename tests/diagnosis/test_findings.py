"""Every threshold says its sentence on one side and nothing on the other; and what is written comes back."""

from pathlib import Path

import pytest

from mcd.csv_files import read_csv
from mcd.diagnosis.findings import (
    ALIKE,
    FORGOTTEN,
    GIVEN_AWAY,
    IDLE_DSC,
    IDLE_L1,
    NEAR_CHANCE,
    NO_BETTER,
    NO_GAIN,
    costs,
    findings,
    gains,
    rises,
    shares,
)
from mcd.diagnosis.numbers import SHARED, Diagnosis, Number, read_diagnoses, write_diagnoses
from mcd.errors import McdError


def diagnosis(*numbers: Number) -> Diagnosis:
    return Diagnosis("brats", "T1CE-T2", "multi_condos", 0, "0.1.0+abc", list(numbers))


def words(*numbers: Number) -> list[str]:
    return [finding.words for finding in findings(diagnosis(*numbers))]


def translation(l1: float, zero: float = 0.6, mean: float = 0.5) -> list[Number]:
    values = {"l1": l1, "l1_zero": zero, "l1_mean": mean}
    return [Number("translation", measure, value, "T2") for measure, value in values.items()]


@pytest.mark.parametrize(("zero", "mean"), [(0.6, 0.5), (0.5, 0.6)])
def test_a_translation_is_held_against_the_better_constant(zero: float, mean: float) -> None:
    assert words(*translation(NO_BETTER * 0.5 - 0.001, zero, mean)) == []
    (sentence,) = words(*translation(NO_BETTER * 0.5 + 0.001, zero, mean))
    assert sentence == (
        "The translation to T2 is idle: its L1 error is 0.476, and that of an image that is the same for every slice 0.500."
    )


def retrieval(features: float, silhouettes: float) -> list[Number]:
    values = {"features": features, "silhouettes": silhouettes, "chance": 1 / 16}
    return [Number("retrieval", measure, value) for measure, value in values.items()]


def test_silhouettes_give_away_a_loss_that_there_is() -> None:
    terms = [Number("loss", "contrastive", 0.1)]
    assert words(*retrieval(0.9, GIVEN_AWAY - 0.01), *terms) == []
    (sentence,) = words(*retrieval(0.9, 1.0), *terms)
    assert sentence.startswith("L_C can be idle: silhouettes alone find 100 % of the partners")
    assert words(*retrieval(0.9, 1.0), Number("loss", "translation", 1.0)) == []


def test_features_that_find_partners_by_chance_are_idle() -> None:
    assert words(*retrieval(NEAR_CHANCE / 16 + 0.001, 0.1)) == []
    (sentence,) = words(*retrieval(NEAR_CHANCE / 16 - 0.001, 0.1))
    assert "they find 12.4 % of the partners, and chance 6.25 %" in sentence


def probe(**gained: float) -> list[Number]:
    """Two regions at two levels, with these gains at the bottleneck; nothing gained at the input."""
    numbers = []
    for layers, by_region in (("input layer", dict.fromkeys(gained, 0.0)), ("down layer 4", gained)):
        for region, gain in by_region.items():
            numbers.append(Number("probe", "pretrained", 0.7 + gain, "T2", region, layers))
            numbers.append(Number("probe", "random", 0.7, "T2", region, layers))
    return numbers


def test_an_encoder_is_idle_if_no_level_gains() -> None:
    assert words(*probe(WT=NO_GAIN * 2, TC=0.001)) == []
    (sentence,) = words(*probe(WT=NO_GAIN * 2, TC=-0.002))
    assert sentence.endswith("in random weights (best: down layer 4, +0.029 of AUC).")
    assert gains(diagnosis(*probe(WT=0.1, TC=0.0))) == pytest.approx(
        {("T2", "input layer"): 0.0, ("T2", "down layer 4"): 0.05}
    )


def test_shared_layers_are_idle_if_the_error_hardly_rises() -> None:
    def knocked(rise: float) -> list[Number]:
        return [*translation(0.1), Number("knock_out", "l1_without", 0.1 * (1 + rise), "T2", layers=SHARED)]

    assert words(*knocked(IDLE_L1 + 0.001)) == []
    (sentence,) = words(*knocked(IDLE_L1 - 0.001))
    assert sentence.startswith("The shared layers are idle in the translation to T2")
    assert sentence.endswith("its L1 error changes by +4.9 %.")
    assert [rise for _, rise in rises(diagnosis(*knocked(0.3)))] == pytest.approx([0.3])


def segmented(dsc: float, without: float) -> list[Number]:
    run = {"modality": "T2", "layers": SHARED, "method": "multi_condos", "label_ratio": 0.05}
    return [Number("knock_out", "DSC", dsc, **run), Number("knock_out", "DSC_without", without, **run)]  # type: ignore[arg-type]


def test_a_network_that_finds_nothing_says_nothing_of_its_layers() -> None:
    assert words(*segmented(0.5, 0.5 - IDLE_DSC - 0.001)) == []
    (idle,) = words(*segmented(0.5, 0.5 - IDLE_DSC + 0.001))
    assert idle.startswith("The shared layers are idle in the network of T2 at 5 % of the labels")
    assert idle.endswith("DSC changes from 0.500 to 0.451.")
    (nothing,) = words(*segmented(2 * IDLE_DSC - 0.001, 0.0))
    assert nothing.startswith("Of the shared layers nothing can be said")
    assert [cost for _, cost in costs(diagnosis(*segmented(0.5, 0.2)))] == pytest.approx([0.3])


def test_what_fine_tuning_forgot_is_named_with_what_is_left_of_it() -> None:
    def moved(layers: str, cosine: float) -> list[Number]:
        run = {"modality": "T2", "layers": layers, "method": "multi_condos", "label_ratio": 0.05}
        return [Number("moved", "cosine", cosine, **run), Number("moved", "norm_ratio", 0.04, **run)]  # type: ignore[arg-type]

    assert words(*moved("down layer 4", FORGOTTEN)) == []
    (sentence,) = words(*moved("up layer 1", 0.1), *moved("down layer 3", 0.9), *moved("down layer 4", 0.0))
    assert "down layer 4 (0.00, 4 % of the norm), up layer 1 (0.10, 4 % of the norm)" in sentence


def test_a_term_that_others_drown_is_named() -> None:
    def terms(**values: float) -> list[Number]:
        return [Number("loss", name, value) for name, value in values.items()]

    assert words(*terms(translation=1.0, contrastive=ALIKE + 0.01)) == []
    assert words(*terms(translation=5.4, contrastive=0.14)) == [
        "L_C is nearly idle in the sum: its term is 0.140, and that of L_T 5.400."
    ]
    assert words(*terms(total=0.01)) == []
    assert shares(diagnosis(*terms(translation=2.0, contrastive=0.5))) == {"translation": 1.0, "contrastive": 0.25}


def test_numbers_come_back_as_written(tmp_path: Path) -> None:
    one = diagnosis(*translation(0.25), *segmented(0.5, 0.25), *probe(WT=0.125))
    other = Diagnosis("hecktor", "CT", "rotation", 3, "0.1.0+d", [Number("loss", "total", -1.5, "CT")])
    write_diagnoses([one, other], tmp_path / "both.csv")
    assert list(read_diagnoses([tmp_path / "both.csv"])) == [one, other]
    write_diagnoses([other], tmp_path / "other.csv")
    assert list(read_diagnoses([tmp_path / "both.csv", tmp_path / "other.csv"])) == [one, other, other]
    assert read_csv(tmp_path / "both.csv").readline().startswith("cohort,pair,pretraining,seed,test,measure,")


def test_a_file_that_is_damaged_or_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    write_diagnoses([diagnosis(*translation(0.25))], path)
    path.write_text(path.read_text().replace("0.250000", "0.350000"))
    with pytest.raises(McdError, match=r"numbers\.csv: damaged"):
        list(read_diagnoses([path]))
    path.write_text("epoch,total\n1,2\n")
    with pytest.raises(McdError, match=r"numbers\.csv: not a file of diagnoses \('cohort'\); delete it"):
        list(read_diagnoses([path]))

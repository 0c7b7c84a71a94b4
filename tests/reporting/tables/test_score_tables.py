"""Tables: the paper's order, numbers that can be recomputed from the score files, and no silent gap."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mcd.errors import McdError
from mcd.evaluation.score_rows import write_scores
from mcd.evaluation.scores import read_scores
from mcd.evaluation.statistics import effects
from mcd.files import read_json
from mcd.reporting.printed.paper import CELL
from mcd.reporting.tables import html
from mcd.reporting.tables.score_tables import LONG_COLUMNS, compare, long_table, wide_table, write_table
from mcd.slices.splits import Split


@pytest.fixture
def written(scores_files: list[Path], make_spec: Any, tmp_path: Path) -> Any:
    def write(splits: Any = None, **changes: Any) -> Any:
        paths = [tmp_path / name for name in ("table2.csv", "table2_long.csv", "table2.html", "table2.json")]
        write_table(scores_files, make_spec(**changes), *paths, splits=splits)
        return pd.read_csv(paths[0]), pd.read_csv(paths[1]), paths[2].read_text(encoding="utf-8")

    return write


def test_long_table_can_be_recomputed_from_the_score_files(
    written: Any, scores_files: list[Path], make_spec: Any
) -> None:
    """Not through `mcd`: plain pandas over the files, regions, then seeds, then patients."""
    _, long, _ = written(metrics=["DSC", "Sen", "HD95"])
    raw = pd.concat([pd.read_csv(path) for path in scores_files])
    raw["method"] = raw["method"].map(make_spec().methods)
    assert len(long) == 3 * 9 * 3
    for row in long.itertuples():
        run = raw[
            (raw["cohort"] == row.dataset)
            & (raw["modality"] == row.modality)
            & (raw["method"] == row.method)
            & (raw["label_ratio"] == row.label_ratio)
        ]
        patients = run.groupby(["subject", "seed"])[row.metric].mean().unstack("seed").mean(axis=1)
        seeds = run.groupby(["seed", "subject"])[row.metric].mean().unstack("seed").mean()
        assert row.value == pytest.approx(patients.mean(), rel=1e-5)
        assert row.patients == patients.notna().sum()
        assert row.seeds == 3
        assert row.seed_sd == pytest.approx(seeds.std(), rel=1e-4)
        assert row.undefined == run[row.metric].isna().sum()
        values = run.groupby(["seed", "subject"])[row.metric].mean().unstack("subject").to_numpy()
        (low,), (high,) = effects(values[:, :, None]).means().interval()
        bounds = (0, math.inf) if row.metric == "HD95" else (0, 1)
        assert (row.ci_low, row.ci_high) == pytest.approx(tuple(np.clip([low, high], *bounds)), rel=1e-4)
        assert (row.interval_over, row.draws) == ("seeds and patients", 1)


def test_the_json_is_all_that_the_page_shows(written: Any, tmp_path: Path) -> None:
    """Plain data, from which the same page comes again."""
    _, _, text = written(notes=["R&D <b>"])
    content = read_json(tmp_path / "table2.json")
    assert html.page(content) == text
    assert content["notes"][0] == "R&D <b>"
    rows = [row for block in content["blocks"] for group in block["groups"] for row in group["rows"]]
    assert [row["method"] for row in rows if row["own"]] == ["Multi-ConDoS"] * 2
    assert {cell["rank"] for row in rows if row["own"] for cell in row["cells"]} == {1}


def split_of(count: int) -> Split:
    return Split([f"s{number}" for number in range(count)], ["t"])


@pytest.mark.parametrize(
    ("trained", "headings"),
    [
        (
            {"hecktor": [40, 40], "brats2018": [38]},
            ["2 patients", "4 patients", "Head: 20 patients, brats2018: 19 patients"],
        ),
        ({"hecktor": [10], "brats2018": [9]}, ["1 patient", "1 patient", "5 patients"]),
        ({"hecktor": [40, 60], "brats2018": [50]}, ["Head: 2–3 patients, brats2018: 3 patients"]),
        ({"hecktor": [40], "brats2018": []}, ["2 patients", "4 patients", "20 patients"]),
        ({}, ["", "", ""]),
    ],
)
def test_a_label_ratio_is_headed_by_how_many_patients_it_is(
    written: Any, tmp_path: Path, trained: dict[str, list[int]], headings: list[str]
) -> None:
    written({name: list(map(split_of, counts)) for name, counts in trained.items()}, cohort_labels={"hecktor": "Head"})
    shown = [block["heading"] for block in read_json(tmp_path / "table2.json")["blocks"]]
    known = [f" ({words})" if words else "" for words in headings]
    percents = ["5 % of the labels", "10 % of the labels", "50 % of the labels"]
    assert shown[: len(known)] == [percent + words for percent, words in zip(percents, known, strict=False)]


def test_ratios_of_the_same_patients_are_said_below_the_table(written: Any, tmp_path: Path) -> None:
    splits = {"hecktor": [split_of(10), split_of(10)], "brats2018": [split_of(40)]}
    written(splits, cohort_labels={"hecktor": "Head"})
    said = [note for note in read_json(tmp_path / "table2.json")["notes"] if "of the labels" in note]
    same = "Head: 5, 10 % of the labels are those of the same 1 of 10 training patients"
    assert said == [f"{same}, so that their rows differ by chance alone."]


@pytest.mark.parametrize(
    ("metrics", "values"),
    [
        (["Sen", "DSC"], "Dice similarity coefficient 1"),
        (["BIoU", "HD95"], "Boundary intersection over union 1 and 95 % Hausdorff distance 0 mm"),
        (["PPV", "Sen"], None),
    ],
)
def test_a_region_that_is_rightly_not_found_is_said_below_the_tables_that_it_concerns(
    tmp_path: Path, make_spec: Any, metrics: list[str], values: str | None
) -> None:
    """b lacks ET, and c both regions; of two seeds one outlines ET in b all the same."""
    empty = {"DSC": 1.0, "Sen": math.nan, "PPV": math.nan, "HD95": 0.0, "BIoU": 1.0}
    wrong = {"DSC": 0.0, "Sen": math.nan, "PPV": 0.0, "HD95": 90.0, "BIoU": 0.0}
    found = {"DSC": 0.5, "Sen": 0.5, "PPV": 0.5, "HD95": 9.0, "BIoU": 0.5}
    missed = {"DSC": 0.0, "Sen": 0.0, "PPV": math.nan, "HD95": 90.0, "BIoU": 0.0}
    unknown = dict.fromkeys(found, math.nan)  # nobody has drawn it
    patients = {
        "a": {"WT": [found] * 2, "ET": [missed] * 2},
        "b": {"WT": [found] * 2, "ET": [empty, wrong]},
        "c": {"WT": [empty] * 2, "ET": [empty] * 2},
        "d": {"WT": [found] * 2, "ET": [unknown] * 2},
    }
    run = {"cohort": "brats2018", "pair": "A-B", "modality": "T1CE", "method": "dsgan", "label_ratio": 0.05}
    rows = [
        {**run, "seed": seed, "subject": subject, "region": region, **scores[seed]}
        for seed in (0, 1)
        for subject, regions in patients.items()
        for region, scores in regions.items()
    ]
    write_scores(rows, tmp_path / "scores.csv")
    paths = [tmp_path / name for name in ("t.csv", "long.csv", "t.html", "t.json")]
    write_table([tmp_path / "scores.csv"], make_spec(metrics=metrics, cohort_labels={"brats2018": "BraTS"}), *paths)
    assert read_json(paths[-1])["notes"] == (
        [
            "BraTS: of 4 patients some do not have every region (ET in 2, WT in 1). A network that outlines nothing there is "
            f"right, and has {values}, as 5 of these 6 scores; means count them."
        ]
        if values
        else []
    )


def test_undefined_patients_are_counted(written: Any) -> None:
    _, long, _ = written()
    counts = long.groupby(["dataset", "metric"])[["patients", "undefined"]].agg(["min", "max"])
    assert counts.loc[("hecktor", "DSC")].tolist() == [12, 12, 0, 0]
    assert counts.loc[("hecktor", "Sen")].tolist() == [11, 11, 3, 3]  # one patient, three seeds


def test_wide_table_is_in_the_order_asked_for(written: Any, make_spec: Any) -> None:
    wide, long, _ = written()
    assert list(wide.columns) == [
        "label_ratio",
        "method",
        "hecktor_CT_DSC",
        "hecktor_CT_Sen",
        "hecktor_PET_DSC",
        "hecktor_PET_Sen",
        "brats2018_T1CE_DSC",
        "brats2018_T1CE_Sen",
    ]
    assert list(wide[["label_ratio", "method"]].itertuples(index=False, name=None)) == make_spec().rows
    cell = long[
        (long["method"] == "SimCLR")
        & (long["label_ratio"] == 0.1)
        & (long["modality"] == "PET")
        & (long["metric"] == "Sen")
    ]
    assert wide.set_index(["label_ratio", "method"]).loc[(0.1, "SimCLR"), "hecktor_PET_Sen"] == round(
        cell["value"].item(), 4
    )


def test_what_was_not_computed_stays_empty(written: Any, make_spec: Any) -> None:
    columns = [*make_spec().columns, ("brats2018", "T1")]
    wide, long, page = written(columns=columns)
    assert wide["brats2018_T1_DSC"].isna().all()
    assert wide["brats2018_T1CE_DSC"].notna().all()
    assert "T1" not in set(long["modality"])
    assert "nan" not in page.lower()


def test_simulated_cohorts_are_marked_in_both_files(written: Any) -> None:
    wide, long, _ = written(simulated={"hecktor"})
    assert set(wide["simulated"]) == {"hecktor"}
    assert dict(zip(long["dataset"], long["simulated"], strict=True)) == {"hecktor": True, "brats2018": False}


def test_rows_and_columns_outside_the_table_are_left_out(written: Any) -> None:
    wide, long, _ = written(rows=[(0.05, "SimCLR"), (0.05, "Multi-ConDoS")], columns=[("hecktor", "PET")])
    assert wide.shape == (2, 4)
    assert set(long["method"]) == {"SimCLR", "Multi-ConDoS"}
    assert set(long["modality"]) == {"PET"}


def test_comparison_is_one_family_a_column_and_block(written: Any, scores: pd.DataFrame) -> None:
    _, long, _ = written()
    block = long[(long["dataset"] == "hecktor") & (long["modality"] == "CT") & (long["label_ratio"] == 0.05)]
    block = block[block["metric"] == "DSC"].set_index("method")
    assert math.isnan(block.loc["Multi-ConDoS", "p"])
    p = block["p"].dropna().sort_values()
    assert len(p) == 3
    assert block.loc[p.index, "p_holm"].tolist() == pytest.approx(
        np.minimum(1, np.maximum.accumulate(p.to_numpy() * [3, 2, 1])).tolist(), rel=1e-5
    )
    run = scores[(scores["modality"] == "CT") & (scores["label_ratio"] == 0.05)]
    cells = run.groupby(["method", "seed", "subject"])["DSC"].mean().unstack("subject")
    means = effects((cells.loc["simclr"] - cells.loc["dsgan"]).to_numpy()[:, :, None]).means()
    found = block.loc["SimCLR", ["difference", "difference_low", "difference_high", "p"]].tolist()
    assert found == pytest.approx([means.value[0], *np.ravel(means.interval()), means.p()[0]], rel=1e-4)
    assert block.loc["SimCLR", "difference"] == pytest.approx(-0.2, abs=0.03)
    assert long[long["label_ratio"] == 0.5]["p"].isna().all()  # no Multi-ConDoS in that block


METHODS = ("scratch", "rotation", "simclr", "dsgan")


def versioned(scores: pd.DataFrame, folder: Path, versions: dict[str, str]) -> list[Path]:
    """A score file for each method, made by the versions that are named; those of other methods know none."""
    files = []
    for method, run in scores.groupby("method"):
        files.append(folder / f"{method}.csv")
        own = run.assign(mcd_version=versions[str(method)]) if method in versions else run
        write_scores(own.to_dict("records"), files[-1])
    return files


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (dict.fromkeys(METHODS, "0.1.0+a"), None),
        ({}, None),
        (
            dict.fromkeys(METHODS, "0.1.0+a") | {"dsgan": "0.1.0+b"},
            "42 of 54 numbers by 0.1.0+a, 12 of 54 numbers by 0.1.0+b",
        ),
        ({"dsgan": "0.1.0+b"}, "42 of 54 numbers by unknown, 12 of 54 numbers by 0.1.0+b"),
        (dict.fromkeys(METHODS, "0.1.0+a 0.1.0+b"), "54 of 54 numbers by 0.1.0+a and 0.1.0+b"),
    ],
    ids=["one", "none known", "two", "one unknown", "all by two"],
)
def test_a_table_of_several_versions_of_the_code_says_so(
    versions: dict[str, str], words: str | None, scores: pd.DataFrame, make_spec: Any, tmp_path: Path
) -> None:
    out = [tmp_path / f"table2{suffix}" for suffix in (".csv", "_long.csv", ".html", ".json")]
    write_table(versioned(scores, tmp_path, versions), make_spec(), *out)
    for path in out[2:]:
        text = path.read_text()
        assert ("several versions of mcd" in text) == (words is not None)
        assert words is None or words in text
    long = pd.read_csv(out[1]).set_index("method")
    assert set(long.loc["Multi-ConDoS", "mcd_version"]) == {versions.get("dsgan", "unknown")}
    assert set(long.loc["SimCLR", "mcd_version"]) == {versions.get("simclr", "unknown")}


def test_the_long_table_says_how_long_trainings_were(scores: pd.DataFrame, tmp_path: Path) -> None:
    one = scores[(scores["method"] == "simclr") & (scores["modality"] == "PET") & (scores["label_ratio"] == 0.05)]
    other = scores[(scores["method"] == "scratch") & (scores["modality"] == "PET") & (scores["label_ratio"] == 0.05)]
    files = []
    for number, (seed, rows) in enumerate(one.groupby("seed")):
        files.append(tmp_path / f"{number}.csv")
        known = rows.assign(steps=100 + 10 * int(str(seed)), targets_seen=800)
        write_scores(known.to_dict("records"), files[-1])
    files.append(tmp_path / "old.csv")
    write_scores(other.to_dict("records"), files[-1])
    long = long_table(read_scores(files), ["DSC", "HD95"]).set_index(["method", "metric"])
    assert long.loc[("simclr", "DSC"), ["steps", "targets_seen"]].tolist() == [110, 800]  # of three seeds
    assert long.loc["scratch", ["steps", "targets_seen"]].isna().all(axis=None)


def test_without_reference_no_test(written: Any) -> None:
    _, long, page = written(reference=None)
    assert "p_holm" not in long
    assert "difference" not in long
    assert "Holm" not in page


def test_one_training_is_said_to_be_one_and_marks_nothing(scores: pd.DataFrame, make_spec: Any, tmp_path: Path) -> None:
    """Nor do several draws of the labelled patients on one pre-training."""
    one = scores[scores["seed"] == 0]
    shifted = one.assign(DSC=one["DSC"] + np.random.default_rng(0).normal(0, 0.01, len(one)), draw=1)
    paths = [tmp_path / name for name in ("t.csv", "t_long.csv", "t.html", "t.json")]
    cases = {
        "over patients, of this one training: nothing is known of another one": one,
        "of this one pre-training: nothing is known of another one": pd.concat([one.assign(draw=0), shifted]),
    }
    for words, rows in cases.items():
        rows.to_csv(tmp_path / "scores.csv", index=False)
        write_table([tmp_path / "scores.csv"], make_spec(), *paths)
        page = paths[2].read_text(encoding="utf-8")
        assert (
            f"95 % interval {'over draws of the labelled patients and over patients, ' * ('pre-' in words)}{words}."
            in page
        )
        assert 'class="mark' not in page
        assert "that takes several seeds" in page
        long = pd.read_csv(paths[1])
        assert long[["p", "p_holm"]].isna().all(axis=None)
        assert long["difference_low"].notna().sum() == long["difference"].notna().sum() > 0


def test_two_pairs_in_one_cell_are_refused(scores: pd.DataFrame, make_spec: Any) -> None:
    spec = make_spec()
    named = scores.assign(method=scores["method"].map(spec.methods))
    twice = pd.concat([named, named[named["method"] == "Multi-ConDoS"].assign(pair="A-C")])
    long = long_table(twice, ["DSC"])
    assert set(long[long["method"] == "Multi-ConDoS"]["pair"]) == {"A-B", "A-C"}
    with pytest.raises(McdError, match=r"Multi-ConDoS on hecktor CT .*A-B, A-C"):
        wide_table(long, spec.rows, spec.columns, ["DSC"])
    with pytest.raises(McdError, match=r"Multi-ConDoS on hecktor CT .*A-B, A-C"):
        compare(twice, ["DSC"], "Multi-ConDoS")


def test_long_table_columns_and_determinism(scores: pd.DataFrame) -> None:
    long = long_table(scores, ["DSC"])
    assert list(long.columns) == LONG_COLUMNS
    shuffled = scores.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        *(table.sort_values(list(CELL), ignore_index=True) for table in (long, long_table(shuffled, ["DSC"])))
    )
    assert ((long["ci_low"] < long["value"]) & (long["value"] < long["ci_high"])).all()


def test_scores_that_do_not_belong(written: Any) -> None:
    with pytest.raises(McdError, match="unknown method rotation, simclr"):
        written(methods={"scratch": "Fully Supervised", "dsgan": "Multi-ConDoS"}, rows=[(0.05, "Multi-ConDoS")])
    with pytest.raises(McdError, match="none of the scores"):
        written(columns=[("elsewhere", "CT")])


def test_a_simulated_cohort_never_stands_beside_the_paper(make_spec: Any) -> None:
    with pytest.raises(ValueError, match="hecktor is simulated"):
        make_spec(simulated={"hecktor"}, paper_table="II", paper_cohorts={"hecktor": "hecktor"})


def test_spec_refuses_what_it_does_not_know(make_spec: Any) -> None:
    with pytest.raises(ValueError, match="leads to CPC"):
        make_spec(rows=[(0.05, "CPC")])
    with pytest.raises(ValueError, match="no measure Dice"):
        make_spec(metrics=["Dice"])


def test_no_torch() -> None:
    """A table is made in a second or two on any machine; loading torch would double that."""
    code = "import sys, mcd.reporting.tables.score_tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_ratio_without_a_short_text_fills_its_row(scores: pd.DataFrame, make_spec: Any, tmp_path: Path) -> None:
    """A third is 0.3333333333333333 in the configuration, in the scores and in the table."""
    third = scores[scores["label_ratio"] == 0.1].assign(label_ratio=0.3333333333333333)
    write_scores(third.to_dict("records"), tmp_path / "scores.csv")
    rows = [(0.3333333333333333, name) for name in make_spec().methods.values()]
    paths = [tmp_path / name for name in ("t.csv", "t_long.csv", "t.html", "t.json")]
    write_table([tmp_path / "scores.csv"], make_spec(rows=rows), *paths)
    assert pd.read_csv(paths[0]).notna().all(axis=None)
    assert "not computed" not in paths[2].read_text(encoding="utf-8").split("<tbody", 1)[1].split("</table>")[0]

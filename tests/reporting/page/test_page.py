"""The page of a whole run: that everything is in it and nothing is loaded, and what it does in a browser."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from browser import AXE, CHROMIUM, Browser
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.figure import Figure

from mcd.csv_files import read_csv
from mcd.diagnosis.numbers import Diagnosis, Number, write_diagnoses
from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import COLUMNS, write_scores
from mcd.evaluation.scores import read_scores
from mcd.files import read_json, write_json
from mcd.imaging.preprocess import read_preprocessed
from mcd.prediction.masks import write_predictions
from mcd.reporting.claims.judge import write_claims
from mcd.reporting.claims.sentences import read_claims
from mcd.reporting.figures.loss_curves import draw_curves
from mcd.reporting.page.build import write_page
from mcd.reporting.page.checks import Check, write_check_page, write_check_page_so_far
from mcd.reporting.page.contents import PageCohort, PageContents, Prediction
from mcd.reporting.page.patients import grey, index_of, pack, unpack
from mcd.reporting.page.result import results
from mcd.reporting.page.timing import read_benchmarks, summarise
from mcd.reporting.page.warnings import warnings_in
from mcd.reporting.tables.score_tables import write_table
from mcd.reporting.tables.spec import TableSpec
from mcd.slices.splits import Split, write_split
from mcd.testing.cohort import TinyCohort, tiny_volumes
from mcd.training.history import write_history

REGIONS = {"WT": [1, 2], "TC": [1]}
METHODS = {"scratch": "Scratch <b>", "dsgan": "Multi-ConDoS", "late": "Late & last"}
SHIFT = {"scratch": 4, "dsgan": 0, "late": -3}  # pixels by which a method misses the truth
DSC = {"scratch": 0.3, "dsgan": 0.8, "late": 0.5}


def truth_of(cohort: TinyCohort, subject: str) -> np.ndarray:
    label = read_preprocessed(cohort.folders[subject]).label
    assert label is not None
    return np.stack([np.isin(label, codes) for codes in REGIONS.values()])


@pytest.fixture(scope="session")
def contents(tiny_cohort: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> PageContents:
    """Two test patients, three methods at 10 % and two modalities; at 5 % scores alone."""
    folder = tmp_path_factory.mktemp("page")
    scores, predictions = [], []
    for modality in tiny_cohort.modalities:
        for method, shift in SHIFT.items():
            masks = {subject: np.roll(truth_of(tiny_cohort, subject), shift, axis=3) for subject in ("p4", "p5")}
            path = folder / f"{method}-{modality}.h5"
            write_predictions(masks.items(), REGIONS, path)
            predictions += [Prediction("tiny", modality, method, 0.1, seed, path) for seed in (0, 1)]
            for ratio in (0.05, 0.1):
                run = {"cohort": "tiny", "pair": "single", "modality": modality, "method": method, "label_ratio": ratio}
                rows = [
                    {**run, "seed": seed, "subject": subject, "region": region}
                    | dict.fromkeys(METRIC_KEYS, DSC[method] * (0.5 if ratio == 0.05 else 1) + 0.01 * seed)
                    for seed in (0, 1)
                    for subject in ("p4", "p5")
                    for region in REGIONS
                ]
                scores.append(folder / f"{method}-{modality}-{ratio}.csv")
                write_scores(rows, scores[-1])
    write_split(Split(["p0", "p1", "p2", "p3"], ["p4", "p5"]), folder / "split.json")
    spec = TableSpec(
        "table2",
        "Table II",
        [(ratio, label) for ratio in (0.05, 0.1) for label in METHODS.values()],
        [("tiny", "A"), ("tiny", "B")],
        ["DSC", "HD95"],
        METHODS,
        simulated=["tiny"],
    )
    write_table(scores, spec, *(folder / f"table2{end}" for end in (".csv", "_long.csv", ".html", ".json")))
    losses = pd.DataFrame({"epoch": [1, 2], "total": [2.0, 1.0]})
    losses.to_csv(folder / "losses.csv", index=False)
    draw_curves(folder / "losses.csv", folder / "picture.png")
    absent = {claim.table: "none of it here" for claim in read_claims()}
    write_claims({}, {}, {}, {}, absent, {}, [], folder / "claims.csv")
    claims = pd.read_csv(read_csv(folder / "claims.csv"), dtype=str, keep_default_na=False).head(4)
    claims["number"] = ["1", "2", "3", "4"]
    claims["sentence"] = ["A is better than B", "C is <i>worse</i> than D", "E helps", "F helps"]
    claims["verdict"] = ["holds", "fails", "undecided", "holds"]
    claims["paper_verdict"] = ["holds", "holds", "not computed", "fails"]
    claims["simulated"] = ["tiny", "", "", ""]
    numbers = {"difference": "0.12", "ci_low": "0.0412", "ci_high": "0.2", "better": "3", "compared": "4"}
    numbers["interval_over"] = "seeds and patients"
    claims = claims.assign(**{name: [value, "", "", ""] for name, value in numbers.items()})
    claims.to_csv(folder / "claims.csv", index=False)
    write_json(folder / "contrasts.json", {"A": 1.5}, sealed=True)
    (folder / "methods.md").write_text("We did <it> [@somebody2020].\n")
    for place, seconds in (
        ("tiny/finetune_modality/single/scratch/A/labels10/seed0", 90.0),
        ("aggregate_table/table2", 2.5),
    ):
        path = folder / "benchmarks" / f"{place}.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:01:30\t{'-' if seconds < 10 else 512.0}\n")
    return PageContents(
        title="A run",
        cohorts=[
            PageCohort(
                *("tiny", "Tiny & small", True, REGIONS, 6, tiny_cohort.modalities, tiny_cohort.shards),
                splits=[folder / "split.json"],
            )
        ],
        methods={key: {"label": label, "group": ""} for key, label in METHODS.items()},
        scores=scores,
        predictions=predictions,
        ratio=0.1,
        reference="dsgan",
        tables={"table2": folder / "table2.json"},
        pictures={"fig5": folder / "picture.png"},
        captions={"fig5": "Losses < 3."},
        claims=folder / "claims.csv",
        absent=["table3", "fig4"],
        checks=[Check("tiny", "p4", tiny_cohort.folders["p4"], folder / "picture.png", folder / "contrasts.json")],
        methods_text=folder / "methods.md",
        benchmarks=folder / "benchmarks",
        configuration={"seeds": [0], "note": "</pre><script>alert(1)</script>"},
    )


@pytest.fixture(scope="session")
def page(contents: PageContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written") / "index.html"
    write_page(contents, path)
    return path


class Elements(HTMLParser):
    """All start tags with their attributes, the text of each script, and what is left open."""

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] == "script":
            name = self.tags[-1][1].get("id") or "code"
            self.scripts[name] = self.scripts.get(name, "") + data


def patient(page: Path, name: str) -> Any:
    return json.loads(Elements(page.read_text()).scripts[name])


# --- the file ---


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_what_is_packed_comes_back(volume: np.ndarray) -> None:
    np.testing.assert_array_equal(unpack(pack(volume), volume.shape), volume)


def test_grey_is_black_outside_and_spans_the_range_inside() -> None:
    volume = np.zeros((1, 10, 10), np.float16)
    volume[0, 2:8, 2:8] = np.linspace(-3, 5, 36).reshape(6, 6)
    shown = grey(volume)
    assert (shown[volume == 0] == 0).all()
    assert shown.max() == 255
    assert (np.diff(shown[0, 2:8, 2:8].ravel().astype(int)) >= 0).all()
    assert not grey(np.zeros((1, 2, 2), np.float16)).any()


def test_the_page_is_well_formed_and_loads_nothing(page: Path) -> None:
    text = page.read_text()
    elements = Elements(text)
    assert elements.stack == []
    assert not re.search(r"https?://|@import|url\(", text)
    for tag, attributes in elements.tags:
        for name in ("src", "href"):
            if value := attributes.get(name):  # links that are followed on request lead to what lies beside the page
                beside = tag == "a" and value in ("methods.md", "methods.bib")
                assert beside or value.startswith(("data:", "#")), (tag, value)
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes.get("for") for tag, attributes in elements.tags if tag == "label"} - {None}
    assert targets <= set(ids)


def test_every_patient_is_there_with_every_method(page: Path, tiny_cohort: TinyCohort) -> None:
    index = patient(page, "page-data")
    assert index["patients"] == [["tiny", "p4", 0.805], ["tiny", "p5", 0.805]]  # of the reference, over both seeds
    for subject in ("p4", "p5"):
        content = patient(page, f"tiny/{subject}")
        truth = truth_of(tiny_cohort, subject)
        np.testing.assert_array_equal(unpack(content["truth"], content["shape"]), truth[0] + 2 * truth[1])
        assert content["spacing"] == [2.0, 1.0, 1.0]
        runs = {(ratio, seed, modality, method): text for ratio, seed, modality, method, text in content["predictions"]}
        assert list(runs) == [
            (0.1, seed, modality, method) for modality in "AB" for method in METHODS for seed in (0, 1)
        ]
        for modality in "AB":
            late = unpack(runs[0.1, 1, modality, "late"], content["shape"])
            np.testing.assert_array_equal(late, np.roll(truth[0] + 2 * truth[1], -3, axis=2))
        rows = pd.DataFrame(
            content["scores"], columns=["ratio", "seed", COLUMNS[3], "modality", "region", *METRIC_KEYS]
        )
        assert len(rows) == 2 * 2 * 3 * 2 * 2
        chosen = rows[(rows["ratio"] == 0.1) & (rows["modality"] == "B") & (rows["seed"] == 1)]
        assert {method: list(values) for method, values in chosen.groupby(COLUMNS[3])["DSC"].unique().items()} == {
            method: [pytest.approx(value + 0.01)] for method, value in DSC.items()
        }


def test_text_stays_text(page: Path) -> None:
    text = page.read_text()
    assert "Scratch <b>" not in text
    assert "<i>worse</i>" not in text
    assert "<script>alert" not in text
    assert "Losses &lt; 3." in text
    assert "Tiny &amp; small" in text
    assert patient(page, "page-data")["methods"]["scratch"]["label"] == "Scratch <b>"


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", '"><b onmouseover="x', "R&D </script><!--", "{{ 7 * 7 }}"]
)
def test_no_text_makes_an_element(contents: PageContents, tmp_path: Path, evil: str) -> None:
    """Wherever words come from, the page has the elements and attributes that it has with harmless words."""

    def made(words: str) -> Elements:
        table = read_json(contents.tables["table2"])
        table |= {"title": words, "notes": [words], "modalities": [words, words], "number": words}
        table["blocks"][0]["groups"][0]["rows"][0]["method"] = words
        write_json(tmp_path / "table2.json", table)
        claims = pd.read_csv(read_csv(str(contents.claims)), dtype=str, keep_default_na=False)
        claims.assign(sentence=words, remark=words, reading=words, note=words).to_csv(tmp_path / "claims.csv")
        (cohort,) = contents.cohorts
        told = replace(
            contents,
            title=words,
            cohorts=[replace(cohort, title=words, facts={words: words})],
            methods={key: {"label": words, "group": words} for key in contents.methods},
            tables={"table2": tmp_path / "table2.json", "fig5": tmp_path / "table2.json"},
            captions={"fig5": words},
            claims=tmp_path / "claims.csv",
            absent=[words],
            checks=[replace(contents.checks[0], subject=words)],
            configuration={words: words},
        )
        write_page(told, tmp_path / "index.html")
        return Elements((tmp_path / "index.html").read_text())

    found, harmless = made(evil), made("words")
    assert [(tag, list(attributes)) for tag, attributes in found.tags] == [
        (tag, list(attributes)) for tag, attributes in harmless.tags
    ]
    assert found.stack == []
    titles = {attributes["aria-label"] for tag, attributes in found.tags if "aria-label" in attributes}
    assert evil in titles  # read back, it is what was put in
    assert json.loads(found.scripts["page-data"])["cohorts"]["tiny"]["title"] == evil


def test_simulated_is_said(contents: PageContents, page: Path, tmp_path: Path) -> None:
    assert "Tiny &amp; small: simulated patients." in page.read_text()
    real = [replace(cohort, simulated=False) for cohort in contents.cohorts]
    write_page(replace(contents, cohorts=real, tables={}, claims=None), tmp_path / "real.html")
    text = (tmp_path / "real.html").read_text()
    assert "simulated patients" not in text
    assert 'class="badge"' not in text


def test_a_page_keeps_to_its_limit_and_what_has_no_room_lies_beside_it(
    contents: PageContents, page: Path, tmp_path: Path
) -> None:
    whole = len(page.read_text())
    assert list((page.parent / "patients").rglob("*.js")) == []
    pictures = [replace(contents.checks[0], picture=tmp_path / "qc/p4.png")]
    (tmp_path / "qc").mkdir()
    Figure(figsize=(4, 2)).savefig(tmp_path / "qc/p4.png")
    sizes, beside = {}, {}
    for name, limit in (("most", whole - 20_000), ("none", 0)):
        folder = tmp_path / name
        write_page(replace(contents, checks=pictures), folder / "index.html", limit)
        sizes[name] = len((folder / "index.html").read_text())
        beside[name] = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.js"))
    assert sizes["none"] < sizes["most"] < whole - 5_000
    assert beside == {"most": ["patients/tiny/p5.js"], "none": ["patients/tiny/p4.js", "patients/tiny/p5.js"]}
    bare = patient(tmp_path / "none/index.html", "tiny/p4")
    assert list(bare) == ["scores", "beside"]
    assert len(bare["scores"]) == 48
    assert "Table II" in (tmp_path / "none/index.html").read_text()
    write_page(replace(contents, checks=pictures), tmp_path / "index.html", 0)
    text = (tmp_path / "index.html").read_text()
    assert "1 pictures are not in the page" in text
    assert '<img src="qc/p4.png"' in text


def test_slices_beside_the_page_are_drawn_like_those_in_it(
    browser: Browser, contents: PageContents, page: Path, tmp_path: Path
) -> None:
    write_page(contents, tmp_path / "index.html", 0)
    shown = []
    for path in (page, tmp_path / "index.html"):
        browser.open(path, "patient=tiny/p5&slice=5&outlines=truth,late")
        browser.until("document.getElementById('main').dataset.edges !== undefined")
        shown.append((state(browser, "edges"), browser.value("document.querySelector('#panels canvas').toDataURL()")))
    assert shown[0] == shown[1]
    assert int(shown[0][0]) > 0
    (tmp_path / "patients/tiny/p5.js").unlink()
    browser.open(tmp_path / "index.html", "patient=tiny/p5")
    browser.until("!document.getElementById('no-slices').hidden")
    assert browser.value("document.querySelectorAll('#scores .run').length") > 0


def test_warnings_of_patients_and_trainings_stand_first(contents: PageContents, page: Path, tmp_path: Path) -> None:
    assert "<h2>Warnings" not in page.read_text()
    volumes = [tiny_volumes(seed) for seed in range(3)]
    volumes[2].info["statistics"]["A"] |= {"p_low": -1000.0, "p_high": 900.0}
    volumes[1].info["warnings"] = ["the label is empty"]
    volumes[0].info["label"] = {"ml": {"1": 2.0}, "lost": 0.0}
    checks = []
    for seed, one in enumerate(volumes):
        (tmp_path / f"p{seed}").mkdir()
        write_json(tmp_path / f"p{seed}/info.json", one.info, sealed=True)
        checks.append(replace(contents.checks[0], subject=f"p{seed}", folder=tmp_path / f"p{seed}"))
    rows = [
        {"epoch": epoch, "total": 1.0, "warning": "it <went> wrong; mend it" if epoch > 1 else ""}
        for epoch in (1, 2, 3)
    ]
    write_history(rows, tmp_path / "losses.csv")
    cohort = replace(contents.cohorts[0], regions={"GTV": [1], "node": [7]})
    write_history([{"epoch": 1, "total": 1.0}], tmp_path / "well.csv")
    third = "tiny/single/scratch/A/labels33.33333333333333/seed1"
    losses = {"tiny/A/seed0": tmp_path / "losses.csv", third: tmp_path / "well.csv"}
    warned = replace(contents, cohorts=[cohort], predictions=[], checks=checks, losses=losses)
    scores = read_scores(contents.scores[:2]).assign(Sen=0.5, PPV=0.5)
    assert list(warnings_in(contents, scores)) == []
    nothing = "WT, TC: the network outlines nothing in any of 2 test patients"
    scores.loc[scores["seed"] == 1, "PPV"] = np.nan
    scores.loc[scores["label_ratio"] == 0.1, "label_ratio"] = 1 / 3
    assert [(one.where, one.sentence, one.address) for one in warnings_in(warned, scores)] == [
        (
            "Tiny & small",
            "p2: A: intensities from -1000 to 900 are in another unit than those of 2 of the 2 others: negative values "
            "(p0: 0 to 100); convert it to the others' unit",
            "check/tiny/p2",
        ),
        ("Tiny & small", "region node: none of its codes (7) is in any label; correct `regions`", "checks"),
        ("Tiny & small", "p1: the label is empty", "check/tiny/p1"),
        ("tiny/A/seed0", "epochs 2 to 3: it <went> wrong; mend it", "training/tiny/A/seed0"),
        ("tiny/single/scratch/A/labels5/seed1", nothing, "patients"),
        (third, nothing, f"training/{third}"),
    ]
    write_page(warned, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text()
    assert "<h2>Warnings (4)</h2>" in text
    table = text[text.index('<table class="plain warnings">') :].partition("</table>")[0]
    rows = re.findall(r'<tr><th scope="row" class="text">(.*?)</th><td class="text">(.*?)</td></tr>', table, re.DOTALL)
    assert [where.replace("<wbr>", "") for where, _ in rows] == [
        "Tiny &amp; small",
        "tiny/A/seed0",
    ]  # each of them once
    patients, training = ([*re.findall(r'<a href="#(.*?)">(.*?)</a>', cell)] for _, cell in rows)
    assert [address for address, _ in patients] == ["check/tiny/p2", "checks", "check/tiny/p1"]
    assert patients[2][1] == "p1: the label is empty"
    assert training == [("training/tiny/A/seed0", "epochs 2 to 3: it &lt;went&gt; wrong; mend it")]

    many = {f"tiny/A/seed{seed}": tmp_path / "losses.csv" for seed in range(4)}
    write_page(replace(warned, losses=many), tmp_path / "many.html")
    text = (tmp_path / "many.html").read_text()
    assert "<h2>Warnings (7)</h2>" in text
    row = text[text.index('<th scope="row" class="text">4 trainings</th>') :].partition("</tr>")[0].replace("<wbr>", "")
    assert row.count("epochs 2 to 3: it &lt;went&gt; wrong; mend it") == 1
    assert re.findall(r'<a href="#(.*?)">(.*?)</a>', row) == [(f"training/{name}", name) for name in many]
    cohorts = [replace(cohort, name=f"c{place}", title=f"C{place}") for place in range(4)]
    alike = [replace(check, cohort=one.name) for one in cohorts for check in checks]
    write_page(replace(warned, cohorts=cohorts, checks=alike, losses={}), tmp_path / "cohorts.html")
    assert "4 trainings" not in (tmp_path / "cohorts.html").read_text()


def scored(dsc: dict[str, float], seeds: int, patients: int = 12, noise: float = 0.02) -> pd.DataFrame:
    """Scores of methods with these means, at 10 % on two modalities."""
    rng = np.random.default_rng(0)
    rows = [
        {"cohort": "tiny", "pair": "A-B", "modality": modality, "method": method, "label_ratio": 0.1, "seed": seed}
        | {"draw": 0, "subject": f"p{patient:02d}", "region": "WT", "DSC": mean + rng.normal(0, noise)}
        for method, mean in dsc.items()
        for modality in "AB"
        for seed in range(seeds)
        for patient in range(patients)
    ]
    return pd.DataFrame(rows)


def test_the_result_names_the_best_and_how_far_the_proposed_method_is_from_it(contents: PageContents) -> None:
    (row,) = results(contents, scored({"scratch": 0.3, "dsgan": 0.5, "late": 0.7}, seeds=3))
    assert [name for name, _ in row["best"]] == ["Late & last", "Multi-ConDoS", "Scratch <b>"]
    assert (row["cohort"], row["place"], row["methods"]) == ("Tiny & small", 2, 3)
    assert row["labels"] == "10 % of the labels (1 patient)"
    (other,) = row["against"]
    assert (other["method"], other["verdict"]) == ("Late & last", "worse")
    assert float(other["difference"]) == pytest.approx(-0.2, abs=0.02)
    low, high = (float(end) for end in other["interval"].split(" to "))
    assert low < float(other["difference"]) < high < 0
    (row,) = results(contents, scored({"scratch": 0.3, "dsgan": 0.8, "late": 0.7}, seeds=3))
    assert (row["place"], row["against"][0]["verdict"]) == (1, "better")
    (row,) = results(contents, scored({"scratch": 0.5, "dsgan": 0.5, "late": 0.5}, seeds=3))
    assert row["against"][0]["verdict"] == "undecided"


def test_of_one_training_the_result_is_undecided(contents: PageContents) -> None:
    (row,) = results(contents, scored({"scratch": 0.3, "dsgan": 0.9, "late": 0.5}, seeds=1))
    assert row["place"] == 1
    assert row["against"][0]["verdict"] == "undecided"
    assert row["against"][0]["remark"] == "one training: nothing is known of another one"
    assert row["against"][0]["over"] == "over patients, of this one training"


def test_the_result_compares_what_both_were_trained_for(contents: PageContents) -> None:
    """A method that lacks a modality of the proposed one has no place; what is compared with nothing has no row."""
    scores = scored({"scratch": 0.3, "dsgan": 0.5, "late": 0.7}, seeds=2)
    (row,) = results(contents, scores[(scores["method"] != "late") | (scores["modality"] == "A")])
    assert [name for name, _ in row["best"]] == ["Multi-ConDoS", "Scratch <b>"]
    (row,) = results(contents, scores[(scores["method"] != "dsgan") | (scores["modality"] == "B")])
    assert (row["modalities"], row["place"], row["methods"]) == ("B", 2, 3)
    assert results(contents, scores[scores["method"] == "scratch"]) == []


def test_training_from_scratch_is_compared_with_too(contents: PageContents) -> None:
    methods = {key: {"label": key, "group": ""} for key in ("fully_supervised", "dsgan", "late")}
    told = replace(contents, methods=methods)
    (row,) = results(told, scored({"fully_supervised": 0.3, "dsgan": 0.5, "late": 0.7}, seeds=3))
    assert [(one["kind"], one["method"], one["verdict"]) for one in row["against"]] == [
        ("the best other", "late", "worse"),
        ("training from scratch", "fully_supervised", "better"),
    ]


@pytest.fixture(scope="session")
def check_page(tiny_cohort: TinyCohort, contents: PageContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients, of whom p1 has lost a part of its label, which has no TC, and p2 has none; p0 has no contrast in B."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "tiny").mkdir()
    labels = {
        "p0": {"ml": {"1": 2.0, "2": 10.5}, "lost": 0.0},
        "p1": {"ml": {"1": 30.25}, "lost": 0.052, "regions": ["WT"]},
        "p2": None,
    }
    numbers = {"p0": {"A": -1.5}, "p1": {"A": 0.25, "B": 2.0}, "p2": {}}
    checks = []
    for name, label in labels.items():
        (folder / name).mkdir()
        info = read_json(tiny_cohort.folders[name] / "info.json")
        warnings = ["5.2% of the <label> lies outside"] if name == "p1" else []
        registration = {"B": {"similarity_after": 0.4321}} if name == "p0" else {}
        info |= {"label": label, "warnings": warnings, "registration": registration}
        write_json(folder / f"{name}/info.json", info, sealed=True)
        Figure(figsize=(4, 2)).savefig(folder / f"tiny/{name}.png")
        write_json(folder / f"{name}.json", numbers[name], sealed=True)
        checks.append(Check("tiny", name, folder / name, folder / f"tiny/{name}.png", folder / f"{name}.json"))
    write_check_page(contents.cohorts, checks, folder / "index.html")
    return folder / "index.html"


def test_preprocessed_patients_have_a_page_before_anything_is_trained(check_page: Path) -> None:
    text = check_page.read_text()
    elements = Elements(text)
    assert elements.stack == []
    pictures = [attributes["src"] for tag, attributes in elements.tags if tag == "img" and "src" in attributes]
    assert pictures == ["tiny/p0.png", "tiny/p1.png", "tiny/p2.png"]
    assert all((check_page.parent / str(name)).exists() for name in pictures)
    assert not re.search(r"https?://|@import|url\(", text)
    assert text.count("5.2% of the &lt;label&gt; lies outside") == 2  # in the table, and below the picture


def test_a_page_of_some_patients_is_older_than_what_the_others_will_be(
    contents: PageContents, check_page: Path, tmp_path: Path
) -> None:
    """One whose picture is not there; where all or none are there, the workflow's rule writes the page, or nothing does."""
    folder = check_page.parent
    checks = [
        Check("tiny", name, folder / name, folder / f"tiny/{name}.png", folder / f"{name}.json")
        for name in ("p0", "p2")
    ]
    gone = replace(checks[0], subject="p<9>", picture=folder / "tiny/p9.png")
    names = ["p<8>", "p 7%", "p6"]
    unread, failed, waiting = (replace(gone, subject=name, folder=folder / "p9") for name in names)
    (tmp_path / "logs").mkdir()
    for name, text in (
        (gone.subject, "it went well"),
        ("p<8>", "\nnote\nerror: ct.nii: a <hole>; copy it\n"),
        ("p 7%", "Killed\n"),
    ):
        (tmp_path / f"logs/{name}.log").write_text(text)
    (tmp_path / "logs/p6.log").touch()
    page = folder / "some.html"

    def write(*these: Check) -> dict[str, list[str]]:
        return write_check_page_so_far(contents.cohorts, these, page, lambda _, name: f"{tmp_path}/logs/{name}.log")

    assert write(*checks) == {}
    assert write(gone) == {}
    assert not page.exists()
    assert write(gone, *checks, unread, failed, waiting) == {"tiny": ["p<9>", *names]}
    text = page.read_text()
    assert "4 of 6 patients are not shown, since the run ended before they were ready:" in text
    notice = text[text.index('<div class="notice">') :].partition("</div>")[0]
    links = re.findall(r'<a href="([^"]+)">([^<]+)</a>: (.*)</li>', notice)
    assert [words for _, *words in links] == [["p&lt;8&gt;", "ct.nii: a &lt;hole&gt;; copy it"], ["p 7%", "Killed"]]
    assert [(folder / unquote(link)).resolve() for link, *_ in links] == [
        (tmp_path / f"logs/{name}.log").resolve() for name in names[:2]
    ]
    assert re.findall(r"<li>not reached: (.*?)</li>", notice, re.DOTALL) == ["p&lt;9&gt;, p6"]
    assert Elements(text).stack == []
    assert "tiny/p0.png" in text
    assert page.stat().st_mtime < (folder / "p0/info.json").stat().st_mtime
    page.unlink()


def test_the_table_of_preprocessed_patients_has_their_numbers(browser: Browser, check_page: Path) -> None:
    browser.open(check_page)
    cells = "(row) => [...row.cells].map((cell) => cell.textContent)"
    rows = browser.value(f"[...document.querySelectorAll('.checked tr')].map({cells})")
    assert rows == [
        ["Patient", "Warnings", "WT, ml", "TC, ml", "Cut off, %", "Contrast, A", "Contrast, B", "Similarity, B"],
        ["p0", "", "12.5", "2.0", "0.0", "-1.50", "", "0.432"],
        ["p1", "5.2% of the <label> lies outside", "30.2", "", "5.2", "+0.25", "+2.00", ""],
        ["p2", "", "", "", "", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("head", "order"),
    [("WT, ml", ["p1", "p0", "p2"]), ("Contrast, A", ["p1", "p0", "p2"]), ("Cut off, %", ["p1", "p0", "p2"])],
)
def test_preprocessed_patients_are_sorted(browser: Browser, check_page: Path, head: str, order: list[str]) -> None:
    """The largest first; who has no number stays below."""
    browser.open(check_page)
    browser.value(f"[...document.querySelectorAll('.sort')].find((one) => one.textContent === '{head}').click()")
    names = "[...document.querySelectorAll('.checked tbody tr')].map((row) => row.cells[0].textContent)"
    assert browser.value(names) == order


def test_pictures_enlarge_and_lead_to_the_next_in_the_tables_order(browser: Browser, check_page: Path) -> None:
    browser.open(check_page)
    browser.value("[...document.querySelectorAll('.sort')].find((one) => one.textContent === 'WT, ml').click()")
    browser.value("document.querySelector('figure .enlarge').focus()")
    browser.press("Enter")
    shown = (
        "document.getElementById('enlarged').open && document.getElementById('enlarged-picture').src.split('/').pop()"
    )
    browser.until(f"{shown} === 'p0.png'")
    browser.press("ArrowRight")
    assert browser.value(shown) == "p2.png"
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    assert browser.value(shown) == "p1.png"
    assert "outside" in browser.value("document.getElementById('enlarged-words').textContent")
    browser.press("Escape")
    browser.until("!document.getElementById('enlarged').open")


def test_a_warning_leads_to_its_patient(browser: Browser, contents: PageContents, tmp_path: Path) -> None:
    (check,) = contents.checks
    info = read_json(Path(check.folder, "info.json"))
    (tmp_path / "p4").mkdir()
    write_json(tmp_path / "p4/info.json", {**info, "warnings": ["the label is empty"]}, sealed=True)
    write_page(replace(contents, checks=[replace(check, folder=tmp_path / "p4")]), tmp_path / "index.html")
    browser.open(tmp_path / "index.html")
    browser.value(
        "[...document.querySelectorAll('#view-overview a')].find((one) => one.textContent.includes('empty')).click()"
    )
    browser.until("document.getElementById('main').dataset.view === 'checks'")
    place = "document.getElementById('check/tiny/p4').getBoundingClientRect()"
    assert browser.value(f"{place}.top >= 0 && {place}.top < innerHeight")


def test_every_training_has_its_curves_and_a_mark_where_it_went_wrong(contents: PageContents, tmp_path: Path) -> None:
    """Each loss goes from its first value at the left to its last at the right, the largest at the top."""
    rows = [
        {"epoch": epoch, "learning_rate": 0.1, "steps": 5, "total": total, "contrast": 2.0}
        | {"warning": "features have collapsed" if epoch == 4 else ""}
        for epoch, total in enumerate([3.0, 1.0, 2.0, 1.5, 1.25], start=1)
    ]
    write_history(rows, tmp_path / "bad.csv")
    write_history([{**row, "warning": ""} for row in rows], tmp_path / "good.csv")
    losses = {
        "tiny/A-B/pretraining/dsgan/seed0": tmp_path / "bad.csv",
        "tiny/A-B/late/A/labels10/seed0": tmp_path / "good.csv",
    }
    write_page(replace(contents, losses=losses), tmp_path / "index.html")
    view = (tmp_path / "index.html").read_text().partition('id="view-training"')[2].partition('id="view-patients"')[0]
    assert re.findall(r'<section class="training" id="([^"]+)"', view) == [f"training/{place}" for place in losses]
    assert re.findall(r'class="method-name">([^<]+)', view) == ["Multi-ConDoS", "Late &amp; last"]
    assert view.count("<svg") == 4  # two losses of each training; neither the rate nor the steps
    total = re.findall(r'aria-label="total over 5 epochs: from 3 to 1.25">.*?points="([^"]+)"', view)
    assert total[0] == "2.0,2.0 38.5,32.0 75.0,17.0 111.5,24.5 148.0,28.2"
    assert view.count('class="mark-epoch" d="M111.5 0') == 2
    assert "epoch 4: features have collapsed" in view
    assert view.count("<details open>") == 1


def test_a_long_training_has_a_curve_of_few_points(contents: PageContents, tmp_path: Path) -> None:
    write_history([{"epoch": epoch, "total": 1 / epoch} for epoch in range(1, 1001)], tmp_path / "losses.csv")
    write_page(replace(contents, losses={"tiny/A/x/seed0": tmp_path / "losses.csv"}), tmp_path / "index.html")
    (points,) = re.findall(r'polyline points="([^"]+)"', (tmp_path / "index.html").read_text())
    assert 60 < len(points.split()) < 90
    assert points.startswith("2.0,2.0 ")
    assert points.endswith(" 148.0,32.0")


def test_a_diagnosis_is_shown_where_it_is_asked_for(contents: PageContents, page: Path, tmp_path: Path) -> None:
    assert "view-diagnosis" not in page.read_text()
    numbers = [
        Number("loss", "total", 0.5),
        Number("probe", "random", 0.5, modality="A", region="WT", layers="down layer 1"),
    ]
    diagnosis = Diagnosis(
        "tiny", "A-B", "dsgan", 0, "0.1.0", [*numbers, replace(numbers[1], measure="pretrained", value=0.75)]
    )
    write_diagnoses([diagnosis], tmp_path / "diagnosis.csv")
    told = replace(contents, diagnosis=tmp_path / "diagnosis.csv", pretrainings={"dsgan": "The <one>"})
    write_page(told, tmp_path / "index.html")
    view = (tmp_path / "index.html").read_text().partition('id="view-diagnosis"')[2].partition("</section>")[0]
    assert "The &lt;one&gt;" in view
    assert "+0.250" in view  # AUC above random weights


def test_the_page_says_what_it_was_not_asked_to_show(contents: PageContents, page: Path, tmp_path: Path) -> None:
    assert "Not on this page: table3, fig4." in page.read_text()
    write_page(replace(contents, absent=[]), tmp_path / "whole.html")
    assert "Not on this page" not in (tmp_path / "whole.html").read_text()


def test_pictures_of_any_resolution_are_shown_at_one_scale(contents: PageContents, tmp_path: Path) -> None:
    pictures = {"fig5": tmp_path / "coarse.png", "fig6": tmp_path / "fine.png"}
    for path, dpi in zip(pictures.values(), (100, 300), strict=True):
        Figure(figsize=(4, 2)).savefig(path, dpi=dpi)
    write_page(replace(contents, pictures=pictures), tmp_path / "index.html")
    assert (tmp_path / "index.html").read_text().count('style="width: 600px"') == 2  # 150 an inch


def test_the_text_on_methods_is_shown_and_linked(contents: PageContents, page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    assert "We did &lt;it&gt; [@somebody2020]." in text
    assert '<a href="methods.md">' in text
    write_page(replace(contents, methods_text=None), tmp_path / "without.html")
    assert "methods.md" not in (tmp_path / "without.html").read_text()


def test_times_are_those_of_the_benchmarks(contents: PageContents, page: Path) -> None:
    jobs = read_benchmarks(str(contents.benchmarks), ["tiny"])
    assert jobs.to_dict("records")[1] == {
        "rule": "finetune_modality",
        "cohort": "tiny",
        "detail": "scratch",
        "seconds": 90.0,
        "mebibytes": 512.0,
    }
    twice = summarise(pd.concat([jobs, jobs.assign(seconds=10.0)]), ["rule"])
    assert twice.iloc[0].to_dict() == {
        "rule": "finetune_modality",
        "jobs": 2,
        "total": 100.0,
        "mean": 50.0,
        "longest": 90.0,
        "mebibytes": 512.0,
    }
    assert "1 min 30 s" in page.read_text()
    assert "2 jobs, 1 min 32 s" in page.read_text()


# --- in a browser ---


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium (Debian: apt-get install chromium)")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    window.requested.clear()
    yield window
    assert window.errors == []
    assert {address.split(":")[0] for address in window.requested} <= {"file", "data", "about"}


def state(browser: Browser, name: str) -> str:
    return str(browser.value(f"document.getElementById('main').dataset.{name}"))


def pick(browser: Browser, name: str, value: str, event: str = "change") -> None:
    """Choose a value of a select or slider, as a user does."""
    field = f"document.getElementById('{name}')"
    browser.value(f"({field}.value = '{value}', {field}.dispatchEvent(new Event('{event}')))")


def order(browser: Browser) -> list[str]:
    """The methods of the first block of Table II from top to bottom."""
    return list(
        browser.value(
            "[...document.querySelectorAll('#view-table2 tbody')][0].querySelectorAll('.run').values()"
            ".map((row) => row.cells[0].textContent).toArray()"
        )
    )


def head(words: str, nth: int = 0) -> str:
    return f"[...document.querySelectorAll('#view-table2 .sort')].filter((one) => one.textContent.startsWith('{words}'))[{nth}]"


def test_one_view_is_shown_and_links_lead_to_the_others(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert state(browser, "view") == "overview"
    for name in ("table2", "figures", "claims", "patients", "checks", "configuration"):
        browser.value(f"document.querySelector('nav a[href=\"#{name}\"]').click()")
        browser.until(f"document.getElementById('main').dataset.view === '{name}'")
        assert browser.value("[...document.querySelectorAll('.view')].filter((view) => !view.hidden).length") == 1
        assert browser.value("document.querySelector('[aria-current=page]').hash") == f"#{name}"
    browser.open(page, "fig5")
    assert state(browser, "view") == "figures"


def test_a_link_that_is_followed_while_a_patient_is_drawn_is_not_lost(browser: Browser, page: Path) -> None:
    """What is drawn goes into the address, unless that names another view by now, whose event has not come yet."""
    browser.open(page, "patient=tiny/p4")
    browser.until("document.getElementById('main').dataset.edges !== undefined")
    browser.value("(document.querySelector('nav a[href=\"#checks\"]').click(), remember(0))")
    browser.until("document.getElementById('main').dataset.view === 'checks'")
    assert browser.value("location.hash") == "#checks"


def test_a_head_sorts_by_keyboard_and_the_third_press_brings_the_printed_order_back(
    browser: Browser, page: Path
) -> None:
    browser.open(page, "table2")
    printed = list(METHODS.values())
    assert order(browser) == printed
    best_first = ["Multi-ConDoS", "Late & last", "Scratch <b>"]
    browser.value(f"{head('DSC')}.focus()")
    browser.press("Enter")
    assert order(browser) == best_first
    assert browser.value(f"{head('DSC')}.closest('th').getAttribute('aria-sort')") == "descending"
    browser.press(" ")
    assert order(browser) == best_first[::-1]
    browser.press("Enter")
    assert order(browser) == printed
    browser.value(f"{head('HD95')}.click()")  # lower is better, and in these scores DSC and HD95 are one number
    assert order(browser) == best_first[::-1]
    browser.value(f"{head('Method')}.click()")
    assert order(browser) == sorted(printed)


def test_a_claim_stands_with_its_numbers_and_what_is_simulated(page: Path) -> None:
    text = page.read_text()
    view = text[text.index('id="view-claims"') :]
    view = view[: view.index("</section>")]
    assert "Tiny &amp; small: simulated patients.</strong> A verdict of this run" in view
    assert "C is &lt;i&gt;worse&lt;/i&gt; than D" in view
    first = view[view.index("A is better than B") :]
    first = first[: first.index("</tbody>")]
    assert (
        "Multi-ConDoS better than Self-supervised, Semi-supervised; at 5, 10 %; each pair of methods on average"
        in first
    )
    assert "none of it here" in first
    assert (
        '<td data-value="0.12">+0.1200<small>+0.041 to +0.200 over trainings and patients</small></td>'
        '<td data-value="0.7500">3 of 4</td>' in first
    )
    assert ">+0.0366</td>" in first  # of the paper's own numbers


def test_claims_that_were_computed_come_first(contents: PageContents, tmp_path: Path) -> None:
    claims = pd.read_csv(read_csv(str(contents.claims)), dtype=str, keep_default_na=False)
    claims["verdict"] = ["not computed", "undecided", "not computed", "holds"]
    claims.to_csv(tmp_path / "claims.csv", index=False)
    write_page(replace(contents, claims=tmp_path / "claims.csv"), tmp_path / "page.html")
    view = (tmp_path / "page.html").read_text().partition('id="view-claims"')[2]
    places = [view.index(words) for words in ("worse&lt;/i&gt; than D", "F helps", "A is better than B", "E helps")]
    assert places == sorted(places)


def test_a_sentence_about_several_metrics_is_one_block(contents: PageContents, tmp_path: Path) -> None:
    claims = pd.read_csv(read_csv(str(contents.claims)), dtype=str, keep_default_na=False)
    claims["number"] = ["1", "1", "2", "3"]
    claims["sentence"] = ["A is better than B", "A is better than B", "E helps", "F helps"]
    claims.to_csv(tmp_path / "claims.csv", index=False)
    write_page(replace(contents, claims=tmp_path / "claims.csv"), tmp_path / "page.html")
    view = (tmp_path / "page.html").read_text().partition('id="view-claims"')[2].partition("</section>")[0]
    assert view.count("A is better than B") == 1
    blocks = view.split('<tbody class="claim">')[1:]
    assert [block.count('<tr class="run"') for block in blocks] == [2, 1, 1]


def test_claims_are_filtered_by_both_verdicts_and_words(browser: Browser, page: Path) -> None:
    browser.open(page, "claims")
    rows = "[...document.querySelectorAll('tr[data-run]')]"
    said = "row.closest('.claim').querySelector('.block p').textContent.slice(2)"
    shown = f"{rows}.filter((row) => !row.hidden).map((row) => {said})"

    def press(by: str, verdict: str) -> None:
        browser.value(f"document.querySelector('button[data-by={by}][data-verdict=\"{verdict}\"]').click()")

    assert len(browser.value(shown)) == 4
    press("run", "holds")
    assert browser.value(shown) == ["A is better than B", "F helps"]
    press("paper", "fails")
    assert browser.value(shown) == ["F helps"]
    press("run", "")
    press("paper", "not computed")
    assert browser.value(shown) == ["E helps"]
    press("paper", "")
    browser.value("document.getElementById('claim-words').focus()")
    browser.command("Input.insertText", text="HELPS")
    assert browser.value(shown) == ["E helps", "F helps"]
    assert browser.value("document.getElementById('claim-count').textContent") == "2 of 4 shown"


def boundary(mask: np.ndarray) -> int:
    """Pixel edges between inside and outside of a 2D mask."""
    padded = np.pad(mask.astype(int), 1)
    return int(np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum())


def test_an_address_shows_a_slice_and_its_outlines(browser: Browser, page: Path, tiny_cohort: TinyCohort) -> None:
    """The edges drawn are those of the masks, counted independently."""
    truth = truth_of(tiny_cohort, "p5")
    browser.open(page, "patient=tiny/p5&slice=5&outlines=truth,late&modalities=A")
    browser.until("document.getElementById('main').dataset.edges !== undefined")
    assert (state(browser, "patient"), state(browser, "slice")) == ("tiny/p5", "5")
    late = np.roll(truth, -3, axis=3)
    expected = sum(boundary(mask[4]) for mask in (*truth, *late))
    assert expected > 0
    assert state(browser, "edges") == str(expected)
    browser.value("document.querySelector('#scores input[value=late]').click()")
    browser.until("document.getElementById('main').dataset.outlines === 'truth'")
    assert state(browser, "edges") == str(sum(boundary(mask[4]) for mask in truth))
    browser.value("document.querySelector('#modalities input[value=B]').click()")
    browser.until("document.querySelectorAll('#panels canvas').length === 2")
    browser.until("document.getElementById('main').dataset.modalities === 'A,B'")
    assert state(browser, "edges") == str(2 * sum(boundary(mask[4]) for mask in truth))


def test_the_slider_and_arrow_keys_move_through_the_slices(browser: Browser, page: Path) -> None:
    browser.open(page, "patient=tiny/p4&slice=3")
    pixels = "document.querySelector('#panels canvas').toDataURL()"
    browser.until("document.getElementById('main').dataset.slice === '3'")
    before = browser.value(pixels)
    browser.press("ArrowRight")
    browser.until("document.getElementById('main').dataset.slice === '4'")
    assert browser.value(pixels) != before
    browser.value("document.getElementById('slice').focus()")
    browser.press("ArrowLeft")
    browser.until("document.getElementById('main').dataset.slice === '3'")
    assert browser.value(pixels) == before
    assert "slice=3" in browser.value("location.hash")
    browser.value("document.getElementById('next').click()")
    browser.until("document.getElementById('main').dataset.patient === 'tiny/p5'")


@pytest.mark.parametrize(("plane", "axis"), [("axial", 0), ("coronal", 1), ("sagittal", 2)])
def test_slices_are_cut_in_three_directions(browser: Browser, page: Path, plane: str, axis: int) -> None:
    """Patients stand upright in coronal and sagittal slices: the last axial slice is at the top."""
    browser.open(page, f"patient=tiny/p4&plane={plane}&slice=5")
    browser.until(f"document.getElementById('main').dataset.plane === '{plane}'")
    content = patient(page, "tiny/p4")
    image = unpack(content["images"]["A"], content["shape"])
    got = browser.value(f"volume(current.images.A).then((bytes) => [...sliceOf(bytes, '{plane}', 4)])")
    expected = image.take(4, axis=axis)
    np.testing.assert_array_equal(got, (expected if axis == 0 else expected[::-1]).ravel())
    truth = unpack(content["truth"], content["shape"])
    areas = browser.value(f"truthAreas('{plane}')")
    np.testing.assert_array_equal(areas, (truth > 0).sum(axis=tuple({0, 1, 2} - {axis})))
    assert browser.value("document.getElementById('slice').max") == str(content["shape"][axis])


def test_the_wheel_moves_through_slices_and_zooms_with_ctrl(browser: Browser, page: Path) -> None:
    browser.open(page, "patient=tiny/p4&slice=4")
    browser.until("document.getElementById('main').dataset.edges !== undefined")
    event = "new WheelEvent('wheel', {{deltaY: {}, ctrlKey: {}, cancelable: true}})"
    turn = f"document.getElementById('panels').dispatchEvent({event})"
    assert browser.value(turn.format(-100, "false")) is False  # the page does not scroll
    browser.until("document.getElementById('main').dataset.slice === '5'")
    browser.value(turn.format(100, "false"))
    browser.until("document.getElementById('main').dataset.slice === '4'")
    browser.value(turn.format(-100, "true"))
    browser.until("Number(document.getElementById('main').dataset.zoom) > 1")
    assert state(browser, "slice") == "4"


def test_zoom_and_window_change_the_picture_and_are_reset(browser: Browser, page: Path) -> None:
    browser.open(page, "patient=tiny/p4&slice=4&outlines=truth")
    browser.until("document.getElementById('main').dataset.edges !== undefined")
    pixels = "document.querySelector('#panels canvas').toDataURL()"
    seen = [browser.value(pixels)]
    edges = state(browser, "edges")
    browser.value("document.getElementById('zoom-in').click()")
    browser.until("document.getElementById('main').dataset.zoom === '1.5'")
    seen.append(browser.value(pixels))
    pick(browser, "window", "60", "input")
    browser.until(f"{pixels} !== {json.dumps(seen[-1])}")
    seen.append(browser.value(pixels))
    assert len(set(seen)) == 3
    assert state(browser, "edges") == edges
    browser.value("document.getElementById('reset').click()")
    browser.until(f"{pixels} === {json.dumps(seen[0])}")


def test_arrow_keys_work_after_a_click_on_box_button_or_picture(browser: Browser, page: Path) -> None:
    browser.open(page, "patient=tiny/p4&slice=4")
    browser.until("document.getElementById('main').dataset.edges !== undefined")
    for place in ("#scores input[value=late]", "#zoom-in", "#modalities input", "#panels canvas"):
        corner = browser.value(
            f"(() => {{ const box = document.querySelector('{place}');"
            " box.scrollIntoView({block: 'center'});"
            " const { left, top, width, height } = box.getBoundingClientRect();"
            " return [left + width / 2, top + height / 2] })()"
        )
        before = int(state(browser, "slice"))
        for kind in ("mousePressed", "mouseReleased"):
            browser.command(
                "Input.dispatchMouseEvent", type=kind, x=corner[0], y=corner[1], button="left", clickCount=1
            )
        browser.press("ArrowRight" if before < 6 else "ArrowLeft")
        browser.until(f"document.getElementById('main').dataset.slice === '{before + (1 if before < 6 else -1)}'")


def test_ratio_and_seed_are_chosen(
    browser: Browser, contents: PageContents, tmp_path: Path, tiny_cohort: TinyCohort
) -> None:
    """At 5 % the second seed found something else: its outline is drawn, and its scores stand first."""
    masks = {subject: np.roll(truth_of(tiny_cohort, subject), 6, axis=3) for subject in ("p4", "p5")}
    write_predictions(masks.items(), REGIONS, tmp_path / "other.h5")
    other = Prediction("tiny", "A", "dsgan", 0.05, 1, tmp_path / "other.h5")
    write_page(replace(contents, predictions=[*contents.predictions, other]), tmp_path / "index.html")
    browser.open(tmp_path / "index.html", "patient=tiny/p4&slice=5&outlines=dsgan&modalities=A")
    browser.until("document.getElementById('main').dataset.edges !== undefined")
    assert browser.value("[...document.getElementById('ratio').options].map((one) => one.textContent)") == [
        "5 %",
        "10 %",
    ]
    score = "document.querySelector('#scores .run.own td').textContent"
    assert browser.value(score) == "0.8000"
    for key, value in (("seed", "1"), ("ratio", "0.05")):
        pick(browser, key, value)
        browser.until(f"document.getElementById('main').dataset.{key} === '{value}'")
    browser.until(
        f"document.getElementById('main').dataset.edges === '{sum(boundary(mask[4]) for mask in masks['p4'])}'"
    )
    assert browser.value(score) == "0.4100"
    assert browser.value("document.querySelector('#scores .block').textContent") == "5 % of the labels"
    address = browser.value("location.hash").removeprefix("#")
    assert "ratio=0.05&seed=1" in address
    browser.open(tmp_path / "index.html", address)
    browser.until("document.getElementById('main').dataset.ratio === '0.05'")
    assert state(browser, "seed") == "1"


def test_patients_come_worst_first_or_by_name(browser: Browser, contents: PageContents, tmp_path: Path) -> None:
    scores = []
    for place, path in enumerate(contents.scores):
        table = pd.read_csv(read_csv(str(path)), dtype={"subject": str})
        table.loc[table["subject"] == "p5", "DSC"] /= 2
        scores.append(tmp_path / f"{place}.csv")
        write_scores(table.to_dict("records"), scores[-1])
    write_page(replace(contents, scores=scores), tmp_path / "index.html")
    browser.open(tmp_path / "index.html", "patients")
    browser.until("document.getElementById('main').dataset.patient === 'tiny/p5'")
    listed = "[...document.getElementById('patient').options].map((one) => one.textContent)"
    assert browser.value(listed) == ["p5: 0.403", "p4: 0.805"]
    pick(browser, "order", "name")
    assert browser.value(listed) == ["p4: 0.805", "p5: 0.403"]
    assert browser.value("document.getElementById('patient').value") == "tiny/p5"


def test_outlines_have_the_colours_of_regions_or_of_methods(browser: Browser, page: Path) -> None:
    browser.open(page, "patient=tiny/p4&slice=5&outlines=truth,dsgan,late")
    browser.until("document.getElementById('main').dataset.edges !== undefined")
    drawn = "['truth', 'dsgan', 'late'].map((method) => ['WT', 'TC'].map((region) => stroke(method, region)))"
    by_region = browser.value(drawn)
    assert [[one["colour"] for one in regions] for regions in by_region] == [["#E69F00", "#56B4E9"]] * 3
    assert len({str(regions[0]["dash"]) for regions in by_region}) == 3
    pick(browser, "colours", "methods")
    by_method = browser.value(drawn)
    assert all(one["colour"] == other["colour"] for one, other in by_method)
    assert len({regions[0]["colour"] for regions in by_method}) == 3


def test_two_cohorts_regions_share_no_colour(contents: PageContents) -> None:
    other = replace(contents.cohorts[0], name="other", regions={"GTV": [1], "WT": [2]})
    index = index_of(replace(contents, cohorts=[*contents.cohorts, other]), {})
    colours = [colour for cohort in index["cohorts"].values() for colour in cohort["colours"].values()]
    assert len(set(colours)) == 4


def test_an_address_that_leads_nowhere_shows_the_first(browser: Browser, page: Path) -> None:
    browser.open(page, "patient=tiny/nobody&slice=99&outlines=unknown")
    browser.until("document.getElementById('main').dataset.patient === 'tiny/p4'")
    assert state(browser, "outlines") == ""
    browser.open(page, "nothing")
    assert state(browser, "view") == "overview"


def test_the_picture_is_that_of_the_slice(browser: Browser, page: Path) -> None:
    """What the browser unpacks is what was packed."""
    browser.open(page, "patient=tiny/p4&slice=4")
    browser.until("document.getElementById('main').dataset.edges !== undefined")
    content = patient(page, "tiny/p4")
    got = browser.value("volume(current.images.A).then((bytes) => [...bytes])")
    np.testing.assert_array_equal(np.reshape(got, content["shape"]), unpack(content["images"]["A"], content["shape"]))


def test_a_tables_head_sticks_to_the_window(browser: Browser, page: Path) -> None:
    """Whether the table fits into the window or scrolls sideways in it; it is never cut to a box of its own."""
    try:
        for width in (1280, 320):
            browser.resize(width, 300)
            browser.open(page, "table2")
            box = "document.querySelector('#view-table2 .scroll')"
            assert browser.value(f"{box}.scrollHeight - {box}.clientHeight") == 0
            assert browser.value(f"{box}.classList.contains('fits')") == (width == 1280)
            browser.value(f"scrollBy(0, {box}.getBoundingClientRect().top + 60)")
            below = (
                "document.querySelector('.top').offsetHeight" if width == 1280 else "0"
            )  # the bar sticks to a wide one
            head = f"{box}.querySelector('thead').getBoundingClientRect()"
            browser.until(f"Math.abs({head}.top - {below}) < 1")
            assert browser.value(f"{box}.querySelector('tbody').getBoundingClientRect().top - {head}.bottom") < -30
    finally:
        browser.resize(1440, 900)


def test_no_menu_is_out_of_sight(browser: Browser, page: Path) -> None:
    try:
        browser.resize(700, 900)
        browser.open(page)
        ends = browser.value(
            "[...document.querySelectorAll('nav a')].map((link) => link.getBoundingClientRect().right)"
        )
        assert len(ends) == 7
        assert max(ends) <= 700
    finally:
        browser.resize(1440, 900)


def test_print_has_whole_tables_and_what_was_folded_and_no_menu(browser: Browser, page: Path) -> None:
    browser.open(page)
    try:
        browser.command("Emulation.setEmulatedMedia", media="print")
        browser.value("dispatchEvent(new Event('beforeprint'))")
        assert browser.value("getComputedStyle(document.querySelector('.top')).display") == "none"
        assert "finetune modality" in browser.value("document.getElementById('view-overview').innerText")
        browser.open(page, "table2")
        boxes = "[...document.querySelectorAll('#view-table2 .scroll')]"
        assert browser.value(f"{boxes}.every((box) => getComputedStyle(box).overflow === 'visible')")
        assert browser.value("getComputedStyle(document.querySelector('#view-table2 thead')).position") == "static"
    finally:
        browser.command("Emulation.setEmulatedMedia", media="")


def test_times_and_versions_are_folded_away(browser: Browser, page: Path) -> None:
    browser.open(page)
    seen = "document.getElementById('view-overview').innerText"
    assert "Time that every stage took" in browser.value(seen)
    assert "finetune modality" not in browser.value(seen)
    browser.value(
        "[...document.querySelectorAll('#view-overview summary')].find((one) => one.textContent.includes('stage')).click()"
    )
    assert "finetune modality" in browser.value(seen)


@pytest.fixture(scope="module")
def full_page(contents: PageContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a view of every kind."""
    folder = tmp_path_factory.mktemp("full")
    write_history([{"epoch": 1, "total": 2.0, "warning": "bad"}, {"epoch": 2, "total": 1.0}], folder / "losses.csv")
    write_diagnoses([Diagnosis("tiny", "A-B", "dsgan", 0, "0.1.0", [Number("loss", "total", 0.5)])], folder / "d.csv")
    losses = {"tiny/A-B/pretraining/dsgan/seed0": folder / "losses.csv"}
    told = replace(contents, losses=losses, diagnosis=folder / "d.csv", pretrainings={"dsgan": "Multi-ConDoS"})
    write_page(told, folder / "index.html")
    return folder / "index.html"


VIEWS = ("", "table2", "figures", "claims", "training", "diagnosis", "patient=tiny/p4", "checks", "configuration")


@pytest.mark.skipif(AXE is None, reason="no axe-core (npm install --no-save axe-core)")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (700, False)])
def test_nothing_in_the_page_is_in_anybodys_way(
    browser: Browser, full_page: Path, check_page: Path, contents: PageContents, width: int, dark: bool
) -> None:
    """By axe-core: names, roles, contrast, order of headings, what the keyboard reaches; folded parts are open."""
    try:
        browser.resize(width, 900)
        browser.dark(dark)
        table = Path(contents.tables["table2"]).with_suffix(".html")
        for path, name in [*((full_page, name) for name in VIEWS), (check_page, ""), (table, "")]:
            browser.open(path, name)
            if name.startswith("patient="):
                browser.until("document.getElementById('main').dataset.edges !== undefined")
            browser.value("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
            assert browser.barriers() == [], (path, name)
    finally:
        browser.resize(1440, 900)
        browser.dark(False)


@pytest.mark.parametrize("width", [1440, 420])
def test_nothing_sticks_out_of_the_window(browser: Browser, page: Path, width: int) -> None:
    browser.resize(width, 900)
    for name in ("", "table2", "figures", "claims", "patient=tiny/p4", "checks", "configuration"):
        browser.open(page, name)
        assert browser.value("document.documentElement.scrollWidth") <= width, name
    browser.resize(1440, 900)

"""The page: what is best, what is simulated, what the paper printed, and text that stays text."""

from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
from markupsafe import escape

from mcd.reporting.tables import html
from mcd.reporting.tables.content import table_content
from mcd.reporting.tables.score_tables import compare, long_table
from mcd.reporting.tables.spec import TableSpec


def row(
    method: Any,
    value: Any,
    ratio: Any = 0.05,
    metric: Any = "DSC",
    dataset: Any = "hecktor",
    modality: Any = "CT",
    **more: Any,
) -> Any:
    known = {
        "patients": 21,
        "seeds": 1,
        "draws": 1,
        "seed_sd": None,
        "interval_over": "patients",
        "undefined": 0,
        "pair": "single",
    }
    cell = {"dataset": dataset, "modality": modality, "method": method, "label_ratio": ratio, "metric": metric}
    return cell | {"value": value, "ci_low": value - 0.05, "ci_high": value + 0.05} | known | more


def spec(
    methods: Any, ratios: Any = (0.05,), columns: Any = (("hecktor", "CT"),), metrics: Any = ("DSC",), **more: Any
) -> Any:
    rows = [(ratio, method) for ratio in ratios for method in methods]
    return TableSpec(
        "t", more.pop("title", "A table"), rows, columns, metrics, {method: method for method in methods}, **more
    )


def page(long: Any, table: Any) -> Any:
    return html.page(table_content(long, table))


class Cells(HTMLParser):
    """Rows of a page's body as lists of (text, set of the tags inside the cell)."""

    def __init__(self, text: Any) -> None:
        super().__init__()
        self.rows: list[list[Any]] = []
        self.open: Any = None
        self.stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: Any, attributes: Any) -> None:
        if tag not in ("meta", "input", "br"):
            self.stack.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.open = ["", set()]
            self.rows[-1].append(self.open)
        elif self.open is not None:
            self.open[1].add((tag, dict(attributes).get("class")))

    def handle_endtag(self, tag: Any) -> None:
        assert self.stack.pop() == tag  # well formed
        if tag in ("td", "th"):
            self.open = None

    def handle_data(self, data: Any) -> None:
        if self.open is not None:
            self.open[0] += data

    def row(self, method: Any, nth: Any = 0) -> Any:
        return [cells for cells in self.rows if cells[0][0] == method][nth][1:]


def emphasis(cell: Any) -> Any:
    return {tag for tag, _ in cell[1]} & {"b", "u"}


def test_best_and_second_in_each_block_and_column() -> None:
    values = {("A", 0.05): 0.3, ("B", 0.05): 0.5, ("C", 0.05): 0.4, ("A", 0.1): 0.9, ("B", 0.1): 0.5, ("C", 0.1): 0.4}
    long = pd.DataFrame(
        [row(m, v, r) for (m, r), v in values.items()]
        + [row(m, 100 * v, r, metric="HD95") for (m, r), v in values.items()]
    )
    cells = Cells(page(long, spec("ABC", (0.05, 0.1), metrics=("DSC", "HD95"))))
    got = {(m, block): [emphasis(cell) for cell in cells.row(m, block)] for m in "ABC" for block in (0, 1)}
    assert got == {
        ("A", 0): [set(), {"b"}],  # DSC, then HD95, where lower is better
        ("B", 0): [{"b"}, set()],
        ("C", 0): [{"u"}, {"u"}],
        ("A", 1): [{"b"}, set()],
        ("B", 1): [{"u"}, {"u"}],
        ("C", 1): [set(), {"b"}],
    }


def test_ties_by_the_digits_shown_are_ties() -> None:
    long = pd.DataFrame([row("A", 0.50001), row("B", 0.49999), row("C", 0.4), row("D", 0.4)])
    cells = Cells(page(long, spec("ABCD")))
    assert [emphasis(cells.row(m)[0]) for m in "ABCD"] == [{"b"}, {"b"}, {"u"}, {"u"}]


def test_nothing_is_best_alone() -> None:
    cells = Cells(page(pd.DataFrame([row("A", 0.5)]), spec("AB")))
    assert emphasis(cells.row("A")[0]) == set()
    assert cells.row("B")[0][0] == "–"


def test_undefined_value_is_a_dash_and_takes_no_rank() -> None:
    long = pd.DataFrame([row("A", float("nan")), row("B", 0.2), row("C", 0.1)])
    text = page(long, spec("ABC"))
    cells = Cells(text)
    assert cells.row("A")[0][0] == "–"
    assert emphasis(cells.row("B")[0]) == {"b"}
    assert "nan" not in text.lower()


def test_blocks_are_headed_by_their_label_ratio() -> None:
    long = pd.DataFrame([row("A", 0.5, ratio) for ratio in (0.05, 0.1, 1.0)])
    heads = [cells[0][0] for cells in Cells(page(long, spec("A", (0.05, 0.1, 1.0)))).rows if len(cells) == 1]
    assert [head for head in heads if "%" in head] == ["5 % of the labels", "10 % of the labels", "100 % of the labels"]


def test_simulated_is_in_the_title_and_on_the_cohort() -> None:
    long = pd.DataFrame([row("A", 0.5)])
    text = page(long, spec("A", simulated={"hecktor"}))
    assert "<title>A table (simulated patients)</title>" in text
    assert text.count('<span class="badge">simulated</span>') == 1
    assert "simulated test patients in hecktor" in text
    columns = [("hecktor", "CT"), ("brats2018", "T1")]
    some = page(long, spec("A", columns=columns, simulated={"hecktor"}, cohort_labels={"hecktor": "HECKTOR"}))
    assert "<title>A table (simulated: HECKTOR)</title>" in some
    assert some.count('<span class="badge">') == 1
    assert "simulated" not in page(long, spec("A"))


def test_paper_numbers_stand_beside_the_paper_cohorts_only() -> None:
    columns = [("hecktor", "CT"), ("brats_sim", "T1CE")]
    long = pd.DataFrame([row("SimCLR", 0.5), row("SimCLR", 0.4, dataset="brats_sim", modality="T1CE")])
    asked = {
        "columns": columns,
        "simulated": {"brats_sim"},
        "paper_table": "II",
        "paper_cohorts": {"hecktor": "hecktor"},
    }
    text = page(long, spec(["SimCLR"], **asked))
    ours, simulated = Cells(text).row("SimCLR")
    assert ("small", "paper") in ours[1]
    assert "0.2201" in ours[0]  # Table II, CT, 5 %
    assert ("small", "paper") not in simulated[1]
    assert "0.5403" not in text  # Table II, T1CE, 5 %
    assert "0.3749/0.6149" in text  # the errata of the table
    bare = page(long, spec(["SimCLR"], columns=columns))
    assert 'class="paper"' not in bare
    assert "printed" not in bare


def test_pointer_tells_interval_patients_seeds_and_what_is_left_out() -> None:
    cell = row(*("A", 0.5), patients=20, seeds=3, seed_sd=0.0123, undefined=1, interval_over="seeds and patients")
    text = page(pd.DataFrame([cell]), spec("A"))
    assert "95 % interval 0.4500 to 0.5500 over trainings and patients; mean over 20 patients, 3 seeds" in text
    assert "3 seeds; 1 undefined score left out" in text
    assert "standard deviation over seeds 0.0123" in text
    assert "0.45–0.55" in text


def test_significance_marks_point_the_way_of_the_metric() -> None:
    tested = {"p": 0.001, "p_holm": 0.01, "difference": -3.0}
    long = pd.DataFrame(
        [
            row("A", 0.5, metric="DSC", **tested),
            row("A", 5.0, metric="HD95", **tested),
            row("B", 0.5, metric="DSC", **(tested | {"p_holm": 0.05})),
            row("Own", 0.5, metric="DSC"),
        ]
    )
    text = page(long, spec(["A", "B", "Own"], metrics=("DSC", "HD95"), reference="Own"))
    cells = Cells(text)
    lower, nearer = cells.row("A")
    assert ("span", "mark worse") in lower[1]
    assert ("span", "mark better") in nearer[1]
    assert not any("mark" in (kind or "") for _, kind in cells.row("B")[0][1])
    assert 'class="run own"' in text
    assert "Holm" in text


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", 'a" onmouseover="x', "R&D <b>"])
def test_text_stays_text(evil: Any) -> None:
    long = pd.DataFrame([row(evil, 0.5, dataset=evil, modality=evil, p=0.1, p_holm=0.2, difference=0.1)])
    asked = {"title": evil, "groups": {evil: evil}, "notes": [evil], "reference": evil, "simulated": {evil}}
    text = page(long, spec([evil], columns=[(evil, evil)], **asked))
    assert evil not in text
    assert text.count(str(escape(evil))) >= 6
    assert not {"script"} & {tag for cells in Cells(text).rows for cell in cells for tag, _ in cell[1]}


def test_losses_get_subscripts() -> None:
    text = page(pd.DataFrame([row("L_GAN+L_T", 0.5)]), spec(["L_GAN+L_T"]))
    assert "L<sub>GAN</sub>+L<sub>T</sub>" in text


def test_a_table_without_label_ratio() -> None:
    """Table IV: no ratio, no interval, no seeds; what is not there is not shown."""
    cell = {"dataset": "b", "modality": "T1CE-T2:X_trans", "method": "P-GAN", "label_ratio": None, "metric": "FID"}
    long = pd.DataFrame([cell | {"value": 88.123, "pair": "T1CE-T2"}])
    made = TableSpec("table4", "IV", [(None, "P-GAN")], [("b", "T1CE-T2:X_trans")], ["FID"], {"pgan": "P-GAN"})
    cells = Cells(page(long, made))
    assert cells.row("P-GAN")[0][0] == "88.12"
    assert not any("labels" in row[0][0] for row in cells.rows)


def test_a_whole_table_from_scores_is_well_formed_and_self_contained(scores: pd.DataFrame, make_spec: Any) -> None:
    named = scores.assign(method=scores["method"].map(make_spec().methods))
    long = long_table(named, ["DSC", "Sen"])
    keys = ["dataset", "modality", "method", "label_ratio", "metric", "pair"]
    long = long.merge(compare(named, ["DSC", "Sen"], "Multi-ConDoS"), on=keys, how="left")
    text = page(long, make_spec())
    cells = Cells(text)
    assert cells.stack == []
    assert all(len(cells.row(method)) == 6 for method in make_spec().methods.values())
    assert all(emphasis(cell) == {"b"} for cell in cells.row("Multi-ConDoS"))
    assert all(emphasis(cell) == {"u"} for cell in cells.row("SimCLR"))
    assert all(("span", "mark worse") in cell[1] for cell in cells.row("Fully Supervised"))
    assert text.count("<b>12</b> test patients in ") == 2
    assert text.count("mean over 11 patients, 3 seeds; 3 undefined scores left out") == 18  # Sen in HECKTOR
    for outside in ("http:", "https:", "<script", "<link", "@import", "url("):
        assert outside not in text

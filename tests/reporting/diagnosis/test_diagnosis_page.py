"""The page of diagnoses: every number and every finding, escaped, and what is simulated called so."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mcd.diagnosis.findings import findings
from mcd.diagnosis.numbers import LAYERS, SHARED, Diagnosis, Number, read_diagnoses, write_diagnoses
from mcd.errors import McdError
from mcd.reporting.diagnosis.page import OVERVIEW, write_diagnosis_page

METHODS = {"multi_condos": "Multi-ConDoS", "loss_t_c": "L_T+L_C", "rotation": "Rotation <90°>"}
COHORTS = {"brats": "Brains & more", "hecktor": "HECKTOR"}
RUN = {"modality": "T2", "method": "multi_condos", "label_ratio": 0.05}


def whole() -> Diagnosis:
    numbers = [
        Number("loss", "translation", 5.4),
        Number("loss", "contrastive", 0.135),
        Number("translation", "l1", 0.33, "T2"),
        Number("translation", "l1_zero", 0.66, "T2"),
        Number("translation", "l1_mean", 0.75, "T2"),
        Number("knock_out", "l1_without", 0.34, "T2", layers=SHARED),
        Number("retrieval", "features", 0.8125, ""),
        Number("retrieval", "silhouettes", 1.0, ""),
        Number("retrieval", "chance", 0.0625, ""),
        Number("probe", "pretrained", 0.917, "T2", "WT", LAYERS[0]),
        Number("probe", "random", 0.612, "T2", "WT", LAYERS[0]),
        Number("moved", "norm_ratio", 0.08, layers=LAYERS[4], **RUN),  # type: ignore[arg-type]
        Number("moved", "cosine", 0.03, layers=LAYERS[4], **RUN),  # type: ignore[arg-type]
        Number("knock_out", "DSC", 0.456, layers=SHARED, **RUN),  # type: ignore[arg-type]
        Number("knock_out", "DSC_without", 0.451, layers=SHARED, **RUN),  # type: ignore[arg-type]
    ]
    return Diagnosis("brats", "T1CE-T2", "loss_t_c", 1, "0.1.0+a", numbers)


@pytest.fixture
def page(tmp_path: Path) -> str:
    other = Diagnosis("hecktor", "CT", "rotation", 0, "0.1.0+b", [Number("loss", "total", 1.25, "CT")])
    files = []
    for number, diagnosis in enumerate((whole(), other)):
        files.append(tmp_path / f"{number}.csv")
        write_diagnoses([diagnosis], files[-1])
    write_diagnosis_page(
        files,
        tmp_path / "diagnosis.csv",
        tmp_path / "diagnosis.html",
        methods=METHODS,
        cohorts=COHORTS,
        simulated=["brats"],
    )
    assert list(read_diagnoses([tmp_path / "diagnosis.csv"])) == [whole(), other]
    return (tmp_path / "diagnosis.html").read_text()


def rows(page: str) -> list[list[str]]:
    """The texts of every table's rows."""
    cells = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    ]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row] for row in cells]


def test_every_number_is_on_the_page(page: str) -> None:
    shown = rows(page)
    found = len(findings(whole()))
    overview = ["0.50", "0.81", "1.00", "+0.305", "+3.0 %", "+0.005", "0.03", "0.025"]
    assert ["LT+LC", "T1CE-T2", "1", *overview, str(found)] in shown
    assert ["Pre-training", "On", "Seed", *OVERVIEW, "Findings"] in shown
    for row in (
        ["T2", "0.3300", "0.6600", "0.7500", "0.3400"],
        ["0.812", "1.000", "0.062"],
        ["T2", "WT", "0.917 (0.612)"],
        ["T2", "5 %", "shared layers", "0.456", "0.451"],
        ["T2", "5 %", "0.03 (0.08)"],
        ["–", "LT", "5.4000"],
        ["–", "LC", "0.1350"],
        ["CT", "total", "1.2500"],
    ):
        assert row in shown
    assert ["Rotation <90°>", "CT", "0", *["–"] * len(OVERVIEW), "0"] in shown


def test_every_finding_is_said(page: str) -> None:
    said = [unescape(re.sub(r"<[^>]+>", "", item)) for item in re.findall(r"<li>(.*?)</li>", page)]
    assert said == [re.sub(r"\bL_([A-Z]+)", r"L\1", finding.words) for finding in findings(whole())]
    assert {finding.test for finding in findings(whole())} == {"retrieval", "knock_out", "moved", "loss"}
    assert page.count("No finding.") == 1


def test_it_is_escaped_stands_alone_and_says_what_is_simulated(page: str) -> None:
    assert "Rotation &lt;90°&gt;" in page
    assert "Brains &amp; more" in page
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "simulated" in re.search(r"<title>(.*?)</title>", page)[1]  # type: ignore[index]
    (brats, hecktor) = re.findall(r"<h2>(.*?)</h2>", page)
    assert "simulated" in brats
    assert "simulated" not in hecktor
    for anchor in re.findall(r'href="#([^"]+)"', page):
        assert f'<section id="{anchor}">' in page


def test_every_element_is_closed(page: str) -> None:
    open_elements: list[str] = []

    class Checked(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "br"):
                open_elements.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_elements.pop() == tag

    Checked().feed(page)
    assert open_elements == []


def test_without_a_pretraining_there_is_nothing_to_diagnose(tmp_path: Path) -> None:
    with pytest.raises(McdError, match=r"no pre-training to diagnose; add a method that pre-trains"):
        write_diagnosis_page([], tmp_path / "d.csv", tmp_path / "d.html", methods={}, cohorts={}, simulated=[])
    assert not list(tmp_path.iterdir())

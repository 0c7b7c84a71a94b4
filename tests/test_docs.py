"""The documentation names only what there is: files, names in them, links; and it explains every key of the configuration."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from workflow_rules import names_in, rules

import mcd
from mcd.config import reference

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
FOLDERS = "mcd|rules|workflow_scripts|tests|configs|profiles|envs|benchmarks|docs"
MENTION = re.compile(
    rf"(?<![\w/.])((?:{FOLDERS})/[\w./-]+\.(?:py|smk|yaml|tsv|csv|md))\b(?::([A-Za-z_]\w*(?:\.\w+)?))?"
)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?!https?:)([^)#]+)[^)]*\)")


def names_of(path: Path) -> set[str]:
    """What a file defines: rules and functions of a workflow file; of a module, its names, and `Class.name`."""
    if path.suffix == ".smk":
        return names_in(path)
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        own = _defined(node)
        names |= own
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for child in node.body for name in _defined(child)}
    return names


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_mentions_is_there(page: Path) -> None:
    text = page.read_text()
    missing = []
    for file, name in MENTION.findall(text):
        path = ROOT / file
        if not path.exists():
            missing.append(file)
        elif name and name not in names_of(path):
            missing.append(f"{file}:{name}")
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing


def test_every_key_of_the_configuration_is_explained() -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text()
    sections = reference.schema()["$defs"]
    algorithms = sections.pop("Algorithms")["properties"]
    keys = {*reference.schema()["properties"], *(key for section in sections.values() for key in section["properties"])}
    assert sorted(key for key in keys if f"| `{key}` |" not in page) == []
    assert sorted(name for name in algorithms.keys() - {"supervised"} if f"### {name}\n" not in page) == []


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site and the usual viewers make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_rule_stands_in_the_table_of_arrows() -> None:
    arrows = (ROOT / "docs/reference/formats.md").read_text().partition("## Raw cohorts")[0]
    cells = [line.split("|")[2] for line in arrows.splitlines() if line.startswith("| ") and line.count("|") == 4]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == {
        "simulate_patient" if rule.name.startswith("simulate_") else rule.name for rule in rules() if rule.script
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_a_heading_lead_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    lost = [f"{file}#{name}" for file, name in links if name not in anchors_of(page.parent / file if file else page)]
    assert lost == []


def test_a_warning_fails_the_site() -> None:
    (recipe,) = re.findall(r"mkdocs build.*", (ROOT / "Makefile").read_text())
    assert "--strict" in recipe
    assert "-q" not in recipe  # --strict counts only what is logged


def test_a_name_that_is_not_there_is_noticed() -> None:
    assert MENTION.findall("`mcd/plan/runs.py:nothing` and mcd/nowhere.py.") == [
        ("mcd/plan/runs.py", "nothing"),
        ("mcd/nowhere.py", ""),
    ]
    assert {"columns", "Run", "Run.cohort", "SINGLE"} <= names_of(ROOT / "mcd/plan/runs.py")
    assert {"pretrain_pair"} <= names_of(ROOT / "rules/pretrain.smk")
    assert {"finetune_modality", "finetune_pair"} <= names_of(ROOT / "rules/finetune.smk")  # one made from the other
    assert "nothing" not in names_of(ROOT / "mcd/plan/runs.py")


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert citation["version"] == mcd.__version__
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "mcd.__version__"}
    assert citation["license"] == project["project"]["license"]
    assert f"\n## {mcd.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_every_page_is_in_the_sites_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = set(re.findall(r"[\w/]+\.md", str(site["nav"])))
    assert {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")} == listed

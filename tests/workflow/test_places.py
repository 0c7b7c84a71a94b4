"""Every place is one pattern, in rules/places.smk."""

import io
import tokenize
from pathlib import Path

import pytest
from snakemake_run import ROOT

FOLDERS = ("data/", "logs/", "results/", "splits/", "work/")


@pytest.mark.parametrize(
    "path", [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))], ids=lambda path: path.name
)
def test_only_places_spells_a_path(path: Path) -> None:
    source = io.StringIO(path.read_text(encoding="utf-8"))
    texts = [token.string for token in tokenize.generate_tokens(source.readline) if token.type == tokenize.STRING]
    spelled = [text for text in texts if text.lstrip("rf").strip("\"'").startswith(FOLDERS)]
    assert bool(spelled) == (path.name == "places.smk"), spelled

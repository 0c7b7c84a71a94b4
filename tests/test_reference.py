"""What is generated from the configuration's classes is current, and right."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mcd.config import reference
from mcd.errors import McdError

ROOT = Path(__file__).parents[1]
CONFIGURATIONS = [ROOT / "config.yaml", *sorted((ROOT / "configs").rglob("*.yaml"))]


@pytest.mark.parametrize("path", [reference.PAGE, reference.SCHEMA], ids=lambda path: path.name)
def test_a_generated_file_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.contents()[path], "run `make reference`"


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_an_editor_finds_the_schema_and_accepts_every_configuration(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == reference.SCHEMA
    content = _with_text_as_keys(yaml.safe_load(text))
    jsonschema.validate(content, reference.schema())
    with pytest.raises(jsonschema.ValidationError, match="filter"):
        jsonschema.validate({**content, "filter": 8}, reference.schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "algorithms": {"simclr": {"temperature": 0}}}, reference.schema())


def test_a_table_says_meaning_values_and_default() -> None:
    made = reference.tables()
    assert "| `shared` |" in made["dsgan"]
    assert "whole number, ≥ 0, ≤ 3 | `1` |" in made["dsgan"]
    assert "`crop`" not in made["simclr"], "is a key of the views, with their default"
    assert "| `crop` | area of a large view; the authors' | 2 numbers: number, > 0, ≤ 1 | `[0.14, 1]` |" in made["swav"]


def test_the_page_must_have_every_table_and_no_other() -> None:
    text = reference.PAGE.read_text(encoding="utf-8")
    with pytest.raises(McdError, match="no table 'swav'"):
        reference.page(text.replace("<!-- generated: swav -->", ""))
    with pytest.raises(McdError, match="nothing generates the table 'swaw'"):
        reference.page(text + "<!-- generated: swaw -->\n<!-- end -->\n")


def _with_text_as_keys(content: Any) -> Any:
    """As a JSON document has it: label ratios are keys, too."""
    if isinstance(content, dict):
        return {str(key): _with_text_as_keys(value) for key, value in content.items()}
    return content

"""What is generated from the configuration's classes is current, and right."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mcd.config import reference
from mcd.errors import McdError
from mcd.pretraining import registry as pretraining
from mcd.segmentation import registry as segmentation
from mcd.training.schedule import Optimisation

ROOT = Path(__file__).parents[1]
CONFIGURATIONS = [ROOT / "config.yaml", *sorted((ROOT / "configs").rglob("*.yaml"))]


@pytest.mark.parametrize("path", [reference.PAGE, reference.SETTINGS, reference.SCHEMA], ids=lambda path: path.name)
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
    assert "| `crop` | area of a large view | 2 numbers: number, > 0, ≤ 1 | `[0.14, 1]` |" in made["swav"]


def test_the_page_must_have_every_table_and_no_other(tmp_path: Path) -> None:
    text, page = reference.PAGE.read_text(encoding="utf-8"), tmp_path / "page.md"
    page.write_text(text.replace("<!-- generated: swav -->", ""))
    with pytest.raises(McdError, match="no table 'swav'"):
        reference.page(page, reference.tables())
    page.write_text(text + "<!-- generated: swaw -->\n<!-- end -->\n")
    with pytest.raises(McdError, match="nothing generates the table 'swaw'"):
        reference.page(page, reference.tables())


OPTIONS = {name: pretraining.options_class(name) for name in pretraining.REGISTRY} | {
    name: segmentation.options_class(name) for name in segmentation.REGISTRY
}


@pytest.mark.parametrize("algorithm", OPTIONS)
def test_every_setting_is_the_published_one_or_says_why_not(algorithm: str) -> None:
    options = OPTIONS[algorithm]
    published = {key: one for cls in reversed(options.__mro__) for key, one in vars(cls).get("PUBLISHED", {}).items()}
    own = {
        key
        for cls in options.__mro__
        if cls not in (*Optimisation.__mro__,)
        for key in vars(cls).get("__annotations__", {})
    }
    own = (own & set(options.model_fields)) | ({"learning_rate"} & set(options.model_fields))
    assert own <= published.keys(), "say of each setting what is published"
    for key, one in published.items():
        ours = options.model_fields[key].get_default()
        if one.value == ours:
            assert one.source, key
            assert not one.why, f"{key}: is the published value"
        else:
            assert one.why, f"{key}: is {ours}, published is {one.value}: say why"
            assert one.source or one.value is None, key


def test_a_configuration_of_the_paper_changes_no_method() -> None:
    """So that the page of settings is true of it."""
    given = yaml.safe_load((ROOT / "configs/paper.yaml").read_text(encoding="utf-8"))["algorithms"]
    assert list(given) == ["dsgan"]
    assert OPTIONS["dsgan"].model_validate(given["dsgan"]) == OPTIONS["dsgan"]()


def _with_text_as_keys(content: Any) -> Any:
    """As a JSON document has it: label ratios are keys, too."""
    if isinstance(content, dict):
        return {str(key): _with_text_as_keys(value) for key, value in content.items()}
    return content

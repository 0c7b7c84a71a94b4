"""What is generated from the configuration's classes: the documentation's tables of keys, and the JSON schema for editors.

    python -m mcd.config.reference --write

In the page, a table is between `<!-- generated: NAME -->` and `<!-- end -->`; everything else is written by hand.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined, to_jsonable_python

from mcd.config.cohort import BatchSizes, Cohort, Simulation
from mcd.config.configuration import Config
from mcd.config.training import Finetuning, PretrainingLength, TranslationScores
from mcd.errors import McdError
from mcd.imaging.options import PreprocessOptions
from mcd.methods import ALL
from mcd.pretraining import registry as pretraining
from mcd.pretraining.options import PretrainingOptions, ViewOptions
from mcd.section import Section
from mcd.segmentation import registry as segmentation
from mcd.segmentation.options import SemiSupervisedOptions
from mcd.slices.options import Augmentation
from mcd.training.schedule import Compute

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/configuration.md"
SETTINGS = ROOT / "docs/reference/settings.md"
SCHEMA = ROOT / "configs/schema.json"

SECTIONS: dict[str, type[Section]] = {
    "top level": Config,
    "cohorts": Cohort,
    "simulate": Simulation,
    "preprocessing": PreprocessOptions,
    "batch_size": BatchSizes,
    "pretraining": PretrainingLength,
    "finetuning": Finetuning,
    "augmentation": Augmentation,
    "translation": TranslationScores,
    "compute": Compute,
    "all pre-training algorithms": PretrainingOptions,
    "views": ViewOptions,
    "all semi-supervised algorithms": SemiSupervisedOptions,
}
"""Name of a table -> the class whose keys it has. Algorithms have tables of their own, under their names."""

COMMON = (PretrainingOptions, ViewOptions, SemiSupervisedOptions)
"""Classes whose keys an algorithm's table leaves out, unless the algorithm has another default."""

OWN_KEYS = "keys of its own"

MARKED = re.compile(r"<!-- generated: (?P<name>[\w -]+) -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)


def table(section: type[Section], left_out: frozenset[str] = frozenset()) -> str:
    """A Markdown table of a section's keys: meaning and source, values, default."""
    schema = section.model_json_schema()
    rows = ["| key | meaning | values | default |", "|---|---|---|---|"]
    for key, field in section.model_fields.items():
        if key not in left_out:
            values = _values(schema["properties"][key]).replace(OWN_KEYS, f"[{OWN_KEYS}](#{key})")
            cells = (
                f"`{key}`",
                field.description or "",
                values,
                _default(field.get_default(call_default_factory=True)),
            )
            rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows)


def tables() -> dict[str, str]:
    """Every generated table, by its name in the page's markers."""
    own = {name: _own_table(options) for name, options in _algorithms().items() if options.model_fields}
    return {name: table(section) for name, section in SECTIONS.items()} | own


def _algorithms() -> dict[str, type[Section]]:
    return {name: pretraining.options_class(name) for name in pretraining.REGISTRY} | {
        name: segmentation.options_class(name) for name in segmentation.REGISTRY
    }


def _own_table(options: type[Section]) -> str:
    """The keys that an algorithm adds, or whose default it changes."""
    common = {
        key
        for base in COMMON
        if issubclass(options, base)
        for key, field in base.model_fields.items()
        if _default(field.get_default()) == _default(options.model_fields[key].get_default())
    }
    return table(options, frozenset(common))


def schema() -> dict[str, Any]:
    """The configuration's JSON schema, with which editors complete keys and mark mistakes."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    listed = content["properties"]["methods"]
    content["properties"]["methods"] = {
        "description": listed.pop("description"),
        "anyOf": [listed, {"enum": list(ALL)}],
    }
    return content


def settings() -> dict[str, str]:
    """The tables of published settings beside ours: of the views that several methods share, and of each algorithm."""
    classes: dict[str, type[Section]] = {"views": ViewOptions, **_algorithms()}
    return {name: _published_table(options) for name, options in classes.items() if vars(options).get("PUBLISHED")}


def _published_table(options: type[Section]) -> str:
    """What a class itself says is published."""
    rows = ["| setting | published | ours | why ours is another | source |", "|---|---|---|---|---|"]
    for key, published in vars(options)["PUBLISHED"].items():
        value = published.value
        words = "" if value is None else value if isinstance(value, str) and " " in value else _default(value)
        cells = (f"`{key}`", words, _default(options.model_fields[key].get_default()), published.why, published.source)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def page(path: Path, made: Mapping[str, str]) -> str:
    """The page with its tables replaced by those that were made.

    Raises:
        McdError: for a table that nothing generates, or one that the page lacks.
    """
    text = path.read_text(encoding="utf-8")
    named = [found["name"] for found in MARKED.finditer(text)]
    for name in made.keys() - set(named):
        raise McdError(f"{path.name}: no table {name!r}; add `<!-- generated: {name} -->` and `<!-- end -->`")
    for name in set(named) - made.keys():
        raise McdError(f"{path.name}: nothing generates the table {name!r}; there are {', '.join(made)}")
    return MARKED.sub(
        lambda found: f"<!-- generated: {found['name']} -->\n\n{made[found['name']]}\n\n<!-- end -->", text
    )


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "must be given"
    if isinstance(value, Section):
        return ""
    plain = to_jsonable_python(value)
    if isinstance(plain, str):
        return f"`{plain}`"
    if isinstance(plain, Mapping):
        return "`{" + ", ".join(f"{key}: {inner}" for key, inner in plain.items()) + "}`"
    return f"`{_rounded(plain)}`".replace('"', "")


def _rounded(plain: Any) -> str:
    if isinstance(plain, list):
        return "[" + ", ".join(map(_rounded, plain)) + "]"
    return f"{plain:.4g}" if isinstance(plain, float) else json.dumps(plain)


def _values(described: Mapping[str, Any]) -> str:
    """The values that a key accepts, in words, from its JSON schema."""
    if "$ref" in described:
        return OWN_KEYS
    if "anyOf" in described:
        return " or ".join(_values(one) for one in described["anyOf"])
    if "enum" in described or "const" in described:
        return ", ".join(f"`{value}`" for value in described.get("enum", [described.get("const")]))
    kind = described.get("type")
    if kind == "array":
        if "prefixItems" in described:
            items = [_values(one) for one in described["prefixItems"]]
            return f"{len(items)} numbers: {items[0]}" if len(set(items)) == 1 else f"[{', '.join(items)}]"
        return f"list: {_values(described['items'])}"
    if kind == "object":
        inner = described.get("additionalProperties") or next(
            iter(described.get("patternProperties", {"": {}}).values())
        )
        return f"key -> {_values(inner)}"
    words = {"integer": "whole number", "number": "number", "boolean": "true, false", "null": "null", "string": "text"}
    return ", ".join([words.get(str(kind), "any"), *_bounds(described)])


def _bounds(described: Mapping[str, Any]) -> Iterator[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    yield from (f"{sign} {described[name]:g}" for name, sign in signs.items() if name in described)


def contents() -> dict[Path, str]:
    """The generated files, as they should be."""
    return {
        PAGE: page(PAGE, tables()),
        SETTINGS: page(SETTINGS, settings()),
        SCHEMA: json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Generate the tables of docs/reference/configuration.md and settings.md, and configs/schema.json."
    )
    parser.add_argument("--write", action="store_true", help="without it, only say which files are not current")
    arguments = parser.parse_args()
    for path, content in contents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            print(path.relative_to(ROOT), "written" if arguments.write else "is not current")
            if arguments.write:
                path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()

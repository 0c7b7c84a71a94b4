"""Pages that are generated when the site is built: one per method from its module's docstring, one per package of `mcd`.

Docstrings are read without importing anything, so building the site needs no torch.
"""

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mcd"
METHOD_ROOMS = ("pretraining", "segmentation")
METHOD = re.compile(r"(?:_algorithm\(\"|Algorithm\(\s*\"mcd\.segmentation\.)(\w+):")  # a module that a registry names
OPTIONS = re.compile(r"^### (\w+)\n.*?<!-- generated: \1 -->\n(.*?)<!-- end -->", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the folder, and to the navigation."""
    methods = dict(sorted(method_pages().items()))
    rooms = dict(sorted(room_pages({Path(place).stem for place in methods}).items()))
    for place, text in {**methods, **rooms}.items():
        files.append(File.generated(config, place, content=text))
    fill(config.nav, "reference/methods/", list(methods))
    fill(config.nav, "reference/api/", list(rooms))
    return files


def fill(nav: Any, folder: str, pages: list[str]) -> None:
    """Replace the navigation's entry that names the folder by the pages."""
    for entry in nav if isinstance(nav, list) else []:
        for title, target in entry.items() if isinstance(entry, dict) else []:
            if target == folder:
                entry[title] = pages
            else:
                fill(target, folder, pages)


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def method_pages() -> dict[str, str]:
    """Path in the site -> page of a method: its module's docstring, its classes, its options."""
    options = dict(OPTIONS.findall((ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")))
    pages = {}
    for room in METHOD_ROOMS:
        registry = (PACKAGE / room / "registry.py").read_text(encoding="utf-8")
        for path in (PACKAGE / room / f"{module}.py" for module in dict.fromkeys(METHOD.findall(registry))):
            name = docstring(path).split(":")[0].split(" (")[0].split(",")[0].rstrip(".")
            pages[f"reference/methods/{path.stem}.md"] = (
                f"# {name}\n\n::: mcd.{room}.{path.stem}\n    options:\n      heading_level: 2\n\n"
                f"## Options\n\nThose that methods share are on [the configuration's page](../configuration.md).\n"
                f"{options.get(path.stem, '')}"
            )
    return pages


def room_pages(methods: set[str]) -> dict[str, str]:
    """Path in the site -> page of a package: every module except the methods, which have pages of their own."""
    pages = {}
    folders = [path.parent for path in sorted(PACKAGE.rglob("__init__.py"))]
    for folder in folders:
        elsewhere = methods if folder.name in METHOD_ROOMS else set()
        modules = sorted(
            path.stem for path in folder.glob("*.py") if path.stem not in {"__init__", "__main__"} | elsewhere
        )
        name = ".".join(folder.relative_to(ROOT).parts)
        parts = [f"# {name}\n\n{docstring(folder / '__init__.py')}\n"]
        parts += [f"::: {name}.{module}\n    options:\n      heading_level: 2\n" for module in modules]
        pages[f"reference/api/{name}.md"] = "\n".join(parts)
    return pages

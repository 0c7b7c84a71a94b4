"""Pages that are generated when the site is built: one per method from its module's docstring, one per package of `mcd`, and
the notebooks, which are run.

Docstrings are read without importing anything; only the notebooks need torch.
"""

import ast
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter
from traitlets.config import Config

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
    for path in sorted((ROOT / "docs/notebooks").glob("*.py")):
        replace_notebook(files, config, path)
    fill(config.nav, "reference/methods/", list(methods))
    fill(config.nav, "reference/api/", list(rooms))
    return files


class NotebookPage(File):
    """A page whose source is not Markdown; links to the source lead to it."""

    def is_documentation_page(self) -> bool:
        return True


OUTPUT_TEMPLATE = """
{%- extends "markdown/index.md.j2" -%}
{% block stream %}
```{ .text title="Output" }
{{ output.text | trim }}
```
{% endblock %}
{% block data_text %}
```{ .text title="Output" }
{{ output.data["text/plain"] | trim }}
```
{% endblock %}
{% block data_png %}
![{{ cell.metadata.alt }}]({{ output.metadata.filenames["image/png"] }})
{% endblock %}
"""
"""What a cell printed is told apart from code, and its picture has the words that the cell gives as `alt`."""


def replace_notebook(files: Files, config: MkDocsConfig, path: Path) -> None:
    """Run a notebook in the percent format, and put a page with its outputs in its place; beside it pictures and an .ipynb.

    A cell that fails fails the build.
    """
    notebook = jupytext.read(path)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": ROOT}},
        config=Config(KernelManager={"transport": "ipc"}),  # not through ports, of which it warns
    )
    with TemporaryDirectory() as folder:
        # one thread: several would wait for each other where images are so small
        environment = {**os.environ, "TMPDIR": folder, "IPYTHONDIR": folder, "OMP_NUM_THREADS": "1"}
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            raise PluginError(f"{path.relative_to(ROOT)}: {error}") from None
    text, resources = MarkdownExporter(raw_template=OUTPUT_TEMPLATE).from_notebook_node(
        notebook, resources={"unique_key": path.stem}
    )
    place = path.relative_to(config.docs_dir)
    files.remove(files.src_uris[place.as_posix()])
    files.append(NotebookPage.generated(config, place.as_posix(), content=text))
    files.append(
        File.generated(config, place.with_suffix(".ipynb").as_posix(), content=jupytext.writes(notebook, "ipynb"))
    )
    for name, picture in resources["outputs"].items():
        files.append(File.generated(config, (place.parent / name).as_posix(), content=picture))


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

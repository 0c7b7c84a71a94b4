"""A table as one self-contained page: no script, no other file, readable on paper, on a phone and in dark mode."""

from mcd.reporting.tables.content import TableContent
from mcd.reporting.templates import render, verbatim


def page(content: TableContent) -> str:
    """The page of a table."""
    return str(render("tables/templates/document.html", content=content, style=verbatim("tables/table.css")))

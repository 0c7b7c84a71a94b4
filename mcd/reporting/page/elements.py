"""What every part of the page uses: views, and the encoding of data inside the file."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mcd.reporting.templates import render


@dataclass(frozen=True)
class View:
    """A section of the page that is shown by itself, at the address `#<name>`."""

    name: str
    words: str  # in the navigation
    content: Markup

    @classmethod
    def of(cls, name: str, words: str, template: str, **values: Any) -> "View":
        """From a template of the page."""
        return cls(name, words, render(f"page/templates/{template}.html", **values))


def json_text(content: Any) -> Markup:
    """JSON inside a page: no character of it can end the element, or start a comment."""
    return Markup(json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


def data_url(content: bytes, kind: str) -> str:
    """The address of a picture that is embedded in the page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"

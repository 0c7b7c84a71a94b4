"""The only place where HTML is generated: Jinja2, which escapes every value put into a template."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

ROOT = Path(__file__).parent


def render(template: str, **values: Any) -> Markup:
    """The text of a template (path below `mcd/reporting`), each value escaped unless it is our own HTML (`Markup`)."""
    return Markup(_environment().get_template(template).render(values))


def verbatim(*files: str) -> Markup:
    """Our own style sheets and scripts (paths below `mcd/reporting`), concatenated without escaping."""
    return Markup("\n".join((ROOT / file).read_text(encoding="utf-8").strip() for file in files))


def subscripts(method: str) -> Markup:
    """A method's name; the losses of Table V ("L_GAN+L_T") get their subscripts."""
    return Markup(re.sub(r"\bL_([A-Z]+)", r"L<sub>\1</sub>", str(escape(method))))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ROOT),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["subscripts"] = subscripts
    return environment

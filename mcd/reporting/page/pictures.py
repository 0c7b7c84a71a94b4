"""The figures with the numbers behind them."""

import io
import re
from pathlib import Path
from typing import Any

from PIL import Image

from mcd.files import read_json
from mcd.reporting.page.contents import PageContents
from mcd.reporting.page.elements import View, data_url

PER_INCH = 150  # pixels on the screen per inch in print


def figures_view(contents: PageContents) -> View | None:
    """Pictures in the given order, each with the numbers behind it if there is a table of the same name."""
    numbers = {name: path for name, path in contents.tables.items() if name.startswith("fig")}
    names = dict.fromkeys([*contents.pictures, *numbers])
    if not names:
        return None
    figures = [
        {
            "name": name,
            "label": re.sub(r"^Fig(?=\d)", "Fig. ", name.capitalize()).replace("_", ", "),
            "caption": contents.captions.get(name, ""),
            "numbers": read_json(numbers[name]) if name in numbers else None,
            **_picture(contents.pictures.get(name)),
        }
        for name in names
    ]
    return View.of("figures", "Figures", "figures", figures=figures)


def _picture(path: str | Path | None) -> dict[str, Any]:
    """A PNG, shown at the same scale as all others whatever its resolution."""
    if path is None:
        return {"source": None, "width": 0}
    content = Path(path).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        width = round(image.width * PER_INCH / image.info.get("dpi", (PER_INCH, PER_INCH))[0])
    return {"source": data_url(content, "png"), "width": width}

"""The first page of a pack, also the card that a hub shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcd.methods import PRETRAININGS
from mcd.seeding import seed_words

OWN_LICENCE = "Apache-2.0"
"""Of this project, and so of patients that it simulates."""


def readme(name: str, description: Mapping[str, Any], terms: Mapping[str, str], files: Sequence[str]) -> str:
    """A pack's README.md, with the head that hubs read.

    Args:
        description: the checkpoint's.
        terms: `licence` of the weights; `title`, `data_licence` and `citation` of the data; a `notice` on simulated patients,
            or "".
        files: of the pack.
    """
    simulated = bool(terms["notice"])
    known = PRETRAININGS.get(description.get("pretraining", ""))
    x = description["modalities"][0]
    own = terms["licence"] == OWN_LICENCE
    head = ["---", *(["license: apache-2.0"] if own else ["license: other", f"license_name: {terms['licence']!r}"])]
    head += ["library_name: mcd", "tags: [medical-imaging, self-supervised, multimodal, segmentation]", "---"]
    facts = {
        "method": f"`{description.get('pretraining', description['algorithm'])}` (`{description['algorithm']}`)",
        "modalities": ", ".join(description["modalities"]),
        "network": f"U-Net of the paper's Table I, f = {description['filters']}",
        "trained layers": known.hands_back if known else "unknown",
        "trained with": f"mcd {description.get('mcd_version', 'of an unknown version')}, {seed_words(description)}",
        "data": terms["title"],
        "licence of the data": terms["data_licence"],
        "licence of the weights": terms["licence"],
    }
    return "\n".join(
        [
            *head,
            "",
            f"# {name}",
            "",
            f"Self-supervised weights of {' and '.join(description['modalities'])}, to start a segmentation from.",
            "",
            "**For research only. Not a medical device.**",
            *(["", f"**{terms['notice']}**"] if simulated else []),
            "",
            "| | |",
            "|---|---|",
            *(f"| {key} | {str(value).replace('|', chr(92) + '|')} |" for key, value in facts.items()),
            *(["", "Warnings while it was trained:", ""] if description.get("warnings") else []),
            *(f"- {warning}" for warning in description.get("warnings", [])),
            "",
            "## Use",
            "",
            "```",
            f"mcd fetch {name}.zip          # or the address that it is at; checks it, and makes weights/{name}/checkpoint.pt",
            f"mcd finetune --pretrained weights/{name}/checkpoint.pt --modality {x} ...",
            f"mcd export weights/{name}/checkpoint.pt --encoder --to monai --modality {x} --output encoder.pt",
            "```",
            "",
            f"Files: {', '.join(files)}. `sha256sum -c SHA256SUMS` checks them without mcd.",
            "",
            "## Please cite",
            "",
            "The papers in `citation.bib`." + (f" The data: {terms['citation']}" if terms["citation"] else ""),
            "",
        ]
    )

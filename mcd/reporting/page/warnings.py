"""What the reader should be wary of: patients unlike the others, and trainings that went wrong."""

import csv
from collections.abc import Iterator

from mcd.csv_files import read_csv
from mcd.imaging.alike import empty_regions, unlike_others
from mcd.reporting.page.contents import PageContents
from mcd.slices.shards import Shards
from mcd.training.history import warnings_of


def warnings_in(contents: PageContents) -> Iterator[tuple[str, str]]:
    """(where, sentence) for every warning: of each cohort, of its patients, then of the trainings."""
    for cohort in contents.cohorts:
        if cohort.shards:
            with Shards(cohort.shards) as shards:
                infos = {name: subject.info for name, subject in shards.subjects.items()}
            found = [*unlike_others(infos), *empty_regions(infos, cohort.regions)]
            yield from ((cohort.title, str(unlike)) for unlike in found)
            for patient, info in infos.items():
                yield from ((cohort.title, f"{patient}: {sentence}") for sentence in info.get("warnings", ()))
    for training, path in contents.losses.items():
        yield from ((training, sentence) for sentence in warnings_of(csv.DictReader(read_csv(path))))

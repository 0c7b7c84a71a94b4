"""Made-up scores of four methods, as evaluation leaves them, and the table that shows them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mcd.evaluation.score_rows import write_scores
from mcd.reporting.tables.spec import TableSpec

METHODS = {"scratch": "Fully Supervised", "rotation": "Rotation", "simclr": "SimCLR", "dsgan": "Multi-ConDoS"}
SKILL = {"scratch": 0.0, "rotation": 0.1, "simclr": 0.2, "dsgan": 0.4}
COLUMNS = [("hecktor", "CT"), ("hecktor", "PET"), ("brats2018", "T1CE")]


def made_up_scores() -> Any:
    rng = np.random.default_rng(0)
    rows = []
    for cohort, modality in COLUMNS:
        regions = ["GTVt"] if cohort == "hecktor" else ["WT", "ET"]
        for ratio, methods in ((0.05, list(METHODS)), (0.1, list(METHODS)), (0.5, ["scratch"])):
            for method in methods:
                for seed in (0, 1, 2):
                    for subject in range(12):
                        for region in regions:
                            good = 0.3 + SKILL[method] + 0.02 * subject + rng.normal(0, 0.03)
                            rows.append(
                                {
                                    "cohort": cohort,
                                    "pair": "single" if method in ("scratch", "rotation") else "A-B",
                                    "modality": modality,
                                    "method": method,
                                    "label_ratio": ratio,
                                    "seed": seed,
                                    "draw": 0,
                                    "subject": f"{subject:03d}",
                                    "region": region,
                                    "DSC": good,
                                    "Sen": np.nan if (subject, region) == (3, "GTVt") else good - 0.1,
                                    "PPV": good,
                                    "HD95": 60 * (1.2 - good),
                                    "BIoU": good / 2,
                                }
                            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def scores() -> Any:
    return made_up_scores()


@pytest.fixture(scope="session")
def scores_files(scores: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One file per run, as the workflow has them."""
    folder = tmp_path_factory.mktemp("scores")
    files = []
    for number, (_, run) in enumerate(scores.groupby(["cohort", "modality", "method", "label_ratio", "seed"])):
        files.append(folder / f"{number}.csv")
        write_scores(run.to_dict("records"), files[-1])
    return files


@pytest.fixture
def make_spec() -> Any:
    def make(**changes: Any) -> Any:
        fields = {
            "name": "table2",
            "title": "Table II. Few labels",
            "rows": [(ratio, name) for ratio in (0.05, 0.1) for name in METHODS.values()] + [(0.5, "Fully Supervised")],
            "columns": COLUMNS,
            "metrics": ["DSC", "Sen"],
            "methods": METHODS,
            "reference": "Multi-ConDoS",
        }
        return TableSpec(**(fields | changes))

    return make

"""The definition of a table: its rows, its columns and the text around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mcd.evaluation.metric import Measure
from mcd.evaluation.metrics import METRICS

# Every measure that a table can show, including those of translations (Table IV) and costs (Table IX).
MEASURES: dict[str, Measure] = {
    metric.key: metric
    for metric in [
        *METRICS,
        Measure("SSIM", "Structural similarity"),
        # A distance by another network is another measure. The paper's is Inception's; for plain FID the network is unknown.
        # Its size depends on the modality and on the number of slices.
        *(
            Measure(key, f"Fréchet distance{words}", higher_is_better=False, decimals=2, comparable=False)
            for key, words in {
                "FID": ", not computed",
                "FID_Inception": " of Inception features",
                "FID_EfficientNet-Lite0": " of EfficientNet-Lite0 features",
            }.items()
        ),
        Measure("pretraining_hours", "Time of pre-training", False, "h", 2, "time"),
        Measure("pretraining_minutes", "Time of pre-training", False, "min", 2, "time"),
        Measure("pretraining_memory", "Peak memory of the process", False, "GiB", 2, "memory"),
        Measure("pretraining_gpu_memory", "Peak memory of tensors on the GPU", False, "GiB", 2, "GPU memory"),
        Measure("pairs_per_second", "Pairs of slices trained on", True, "1/s", 1, "pairs"),
    ]
}


Key = tuple[str, str, str, float | None, str]
"""A number of a table: data set or cohort, modality, method, label ratio (of `label_ratio`), metric."""


def label_ratio(value: float | None) -> float | None:
    """A label ratio as a key, whether it was computed or read from a file; None if a table has none."""
    return None if value is None or value != value else round(float(value), 6)


@dataclass(frozen=True)
class TableSpec:
    """One table. Methods are named as the reader sees them; `methods` translates the keys of the score files.

    Raises `ValueError` if a simulated cohort claims the paper's numbers, or a row names a method without a key.
    """

    name: str  # "table2"
    title: str
    rows: Sequence[tuple[float | None, str]]  # (label ratio, method's display name), in the order shown
    columns: Sequence[tuple[str, str]]  # (cohort, modality), in the order shown
    metrics: Sequence[str]  # keys of MEASURES
    methods: Mapping[str, str]  # key in the score files -> display name
    simulated: Sequence[str] = ()  # cohorts whose patients are simulated
    paper_table: str | None = None  # "II": the table of the paper to show beside
    paper_cohorts: Mapping[str, str] = field(default_factory=dict)  # cohorts that are the paper's -> its dataset
    row_of_pair: Mapping[str, str] = field(
        default_factory=dict
    )  # pair -> row, where rows are pairs of modalities (Fig. 8)
    reference: str | None = None  # display name of the method against which all others are tested
    groups: Mapping[str, str] = field(default_factory=dict)  # display name -> heading above it within a block
    cohort_labels: Mapping[str, str] = field(default_factory=dict)  # cohort -> what the reader calls it
    modality_labels: Mapping[str, str] = field(default_factory=dict)  # modality -> what the reader calls it
    pretrained: Mapping[str, str] = field(default_factory=dict)  # display name -> the layers that are pre-trained
    labelled: Mapping[float, str] = field(default_factory=dict)  # label ratio -> how many patients that is
    number: str = "Mean over the test patients of a patient’s mean over its regions."  # what a number is
    notes: Sequence[str] = ()  # sentences below the table

    def __post_init__(self) -> None:
        if both := sorted(set(self.simulated) & self.paper_cohorts.keys()):
            raise ValueError(f"{self.name}: {', '.join(both)} is simulated and cannot stand beside the paper's numbers")
        if unknown := sorted(
            {method for _, method in self.rows} - {*self.methods.values(), *self.row_of_pair.values()}
        ):
            raise ValueError(f"{self.name}: no key in `methods` leads to {', '.join(unknown)}")
        if unknown := sorted(set(self.metrics) - MEASURES.keys()):
            raise ValueError(f"{self.name}: no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")

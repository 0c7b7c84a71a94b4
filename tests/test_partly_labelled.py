"""Labels that hold some regions only: the others are neither background nor foreground, in no loss and in no score."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mistakes import CONFIGURATION

from mcd import plan
from mcd.cli import main
from mcd.cohorts.index import read_index, write_index
from mcd.cohorts.samplesheet import subjects as sheet_subjects
from mcd.config import read_config
from mcd.csv_files import read_csv, write_csv
from mcd.diagnosis.knock_out import with_region
from mcd.errors import McdError
from mcd.evaluation.scores import read_scores, training_values
from mcd.files import read_json
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import preprocess_subject, write_preprocessed
from mcd.imaging.write_volume import write_volume
from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.prediction.card import render
from mcd.prediction.run import predict_test
from mcd.prediction.score import score_predictions
from mcd.segmentation import registry, run
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.segmentation.supervised import Supervised
from mcd.slices.batches import MixedSlices, SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, write_split
from mcd.slices.write_shards import write_subjects
from mcd.subject import Subject
from mcd.testing.cohort import TinyCohort, tiny_subject, tiny_volumes
from mcd.training.checkpoint import load_checkpoint, weights_digest
from mcd.training.schedule import Schedule

NAMES = [f"p{number}" for number in range(8)]
REGIONS = {"core": [1], "whole": [1, 2]}
PARTLY = {"p1": ["whole"], "p2": ["whole"], "p7": ["whole"]}
OPTIONS = {
    "dtml": {"regression": 0.3},
    "sass": {"discriminator_filters": 2},
    "bcp": {"labelled_alone": 0.5},
}


def cohort_in(folder: Path, core_of_unknown: int, partly: dict[str, list[str]] | None = None) -> TinyCohort:
    """Of 8 patients three, two of whom train, have no label of the core; where it is, theirs says `core_of_unknown`."""
    folder.mkdir()
    made = {name: tiny_volumes(seed) for seed, name in enumerate(NAMES)}
    for name, volumes in made.items():
        assert volumes.label is not None
        if name in PARTLY:
            volumes.label = np.where(volumes.label == 1, core_of_unknown, volumes.label).astype(np.uint8)
        if regions := (PARTLY if partly is None else partly).get(name):
            volumes.info["label"] = {"regions": regions}
    write_subjects(folder / "0.h5", made.items())
    write_split(Split(train=["p1", "p0", "p2", "p3", "p4", "p5"], test=["p6", "p7"]), folder / "split.json")
    return TinyCohort(folder, NAMES, [folder / "0.h5"], folder / "split.json")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    return cohort_in(tmp_path_factory.mktemp("partly") / "drawn", 1)


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    """The same, but what their labels say of the core is something else."""
    return cohort_in(tmp_path_factory.mktemp("partly") / "painted", 2)


def trained(cohort: TinyCohort, algorithm: str, output: Path, ratio: float = 0.5) -> Path:
    schedule = Schedule(epochs=2, batch_size=8, learning_rate=1e-2, steps_per_epoch=2, warmup_epochs=0)
    options = OPTIONS.get(algorithm, {})
    task = FinetuningTask(
        modality="A",
        regions=REGIONS,
        label_ratio=ratio,
        filters=2,
        schedule=schedule,
        algorithm=algorithm,
        options=options,
    )
    finetune(task, shards=cohort.shards, split=cohort.split, output=output)
    return output


ALGORITHMS = ["supervised", "mean_teacher", "dtml", "sass", "bcp", "unimatch"]


def test_every_method_of_ours_is_tried() -> None:
    ours = {name for name, algorithm in registry.REGISTRY.items() if algorithm.method.startswith("mcd.")}
    assert ours == set(ALGORITHMS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_a_label_says_of_a_region_that_it_does_not_hold_is_not_learnt(
    algorithm: str, drawn: TinyCohort, painted: TinyCohort, tmp_path: Path
) -> None:
    """A training gives the same weights whatever stands there, and others where it is taken for a label."""
    models = [trained(cohort, algorithm, tmp_path / f"{at}.pt") for at, cohort in enumerate((drawn, painted))]
    first, second = (weights_digest(load_checkpoint(model).weights["network"]) for model in models)
    assert first == second
    plain = cohort_in(tmp_path / "plain", 1, {})
    taken = trained(plain, algorithm, tmp_path / "taken.pt")
    assert weights_digest(load_checkpoint(taken).weights["network"]) != first


def test_a_loss_is_over_what_is_known(drawn: TinyCohort) -> None:
    with Shards(drawn.shards) as shards:
        slices = SliceSet(shards, ["p0", "p1"], ["A"], regions=REGIONS, select="target")
        everything = slices.batch(np.arange(len(slices)))
        one = SliceSet(shards, ["p0"], ["A"], regions=REGIONS, select="target")
    assert one.known is None
    assert slices.known is not None
    assert slices.known.tolist() == [[True, True], [False, True]]
    assert everything.known is not None
    assert everything.targets is not None
    assert everything.known.tolist() == [
        [True, True] if subject == 0 else [False, True] for subject in everything.subjects
    ]
    torch.manual_seed(0)
    logits, known = torch.randn(len(slices), 2, 32, 32), everything.known
    found = dice_and_cross_entropy(logits, everything.targets, known[:, :, None, None])
    rows = [(logits[known[:, region], region], everything.targets[known[:, region], region]) for region in (0, 1)]
    overlaps = [(2 * (p.sigmoid() * t).sum() + 1) / (p.sigmoid().sum() + t.sum() + 1) for p, t in rows]
    entropy = [torch.nn.functional.binary_cross_entropy_with_logits(p, t, reduction="none") for p, t in rows]
    by_hand = 1 - torch.stack(overlaps).mean() + torch.cat([part.flatten() for part in entropy]).mean()
    torch.testing.assert_close(found, by_hand)


def test_slices_are_chosen_by_what_is_known(drawn: TinyCohort) -> None:
    with Shards(drawn.shards) as shards:
        core = SliceSet(shards, ["p0", "p1"], ["A"], regions={"core": [1]}, select="target")
        labelled = SliceSet(shards, ["p0", "p1"], ["A"], regions=REGIONS, select="content")
        mixed = MixedSlices(labelled, SliceSet(shards, ["p3"], ["A"], select="content"))
        assert with_region(shards, NAMES, REGIONS) == ["p0", "p3", "p4", "p5", "p6"]
    assert set(core.subject_of) == {0}
    batch = mixed.batch(np.array([0, len(labelled) - 1, len(labelled)]))
    assert batch.known is not None
    assert batch.known.tolist() == [[True, True], [False, True], [False, False]]
    assert labelled.identity()["known"] == [[True, True], [False, True]]


def test_a_region_without_a_label_has_no_score(drawn: TinyCohort, tmp_path: Path) -> None:
    model = trained(drawn, "supervised", tmp_path / "model.pt")
    predictions = tmp_path / "predictions.h5"
    data = {"shards": drawn.shards, "split": drawn.split}
    predict_test(**data, model=model, predictions=predictions)  # type: ignore[arg-type]
    columns = {"cohort": "c", "pair": "A-B", "modality": "A", "method": "m", "label_ratio": 0.5, "seed": 0, "draw": 0}
    rows = score_predictions(**data, predictions=predictions, scores=tmp_path / "scores.csv", columns=columns)  # type: ignore[arg-type]
    assert [(row["subject"], row["region"], math.isnan(row["DSC"])) for row in rows] == [
        ("p6", "core", False),
        ("p6", "whole", False),
        ("p7", "core", True),
        ("p7", "whole", False),
    ]
    scores = read_scores([tmp_path / "scores.csv"])
    values = next(table for cell, table in training_values(scores).items() if cell[-1] == "DSC")
    by_region = scores.set_index(["subject", "region"])["DSC"]
    assert values["p7"].item() == by_region["p7", "whole"]
    assert values["p6"].item() == pytest.approx(by_region["p6"].mean())
    assert "some regions only | 2 |" in render(load_checkpoint(model))
    table = pd.read_csv(read_csv(tmp_path / "scores.csv"), keep_default_na=False)
    table.loc[0, "DSC"] = ""  # a score that is always defined, beside others that are there
    write_csv([list(table), *table.astype(str).to_numpy().tolist()], tmp_path / "scores.csv")
    with pytest.raises(McdError, match=r"DSC of p6, core is nan"):
        read_scores([tmp_path / "scores.csv"])


def test_a_method_that_would_take_it_for_background_is_refused(
    drawn: TinyCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(Supervised):
        """A method of another package, whose losses nobody knows."""

    monkeypatch.setattr(run, "segmentation_class", lambda _: Own)
    with pytest.raises(McdError, match="supervised: takes a region that a patient has no label of for background"):
        trained(drawn, "supervised", tmp_path / "model.pt")


def test_a_region_that_no_label_holds_is_refused(drawn: TinyCohort, tmp_path: Path) -> None:
    with pytest.raises(McdError, match=r"label_ratio 0\.2: none of the labels that it gives away holds core; raise it"):
        trained(drawn, "supervised", tmp_path / "model.pt", ratio=0.2)  # p1 alone


def test_a_sheet_says_what_a_label_holds_and_preprocessing_hands_it_on(tmp_path: Path) -> None:
    made = tiny_subject(0)
    assert made.label is not None
    for name, values in {**made.volumes, "label": made.label}.items():
        write_volume(made.grid.image(values), tmp_path / f"{name}.nii.gz")
    sheet = tmp_path / "sheet.tsv"
    files = "A.nii.gz\tB.nii.gz\tlabel.nii.gz"
    sheet.write_text(f"subject\tA\tB\tlabel\tregions\np0\t{files}\t\np1\t{files}\twhole  core whole\n")
    whole, partly = sheet_subjects(sheet, ["A", "B"])
    assert (whole.regions, partly.regions) == (None, ("whole", "core"))
    assert Subject.from_json(partly.to_json()) == partly
    assert "regions" not in whole.to_json()  # so that nothing of earlier runs is made again
    write_index([whole, partly], tmp_path / "index.tsv")
    assert read_index(tmp_path / "index.tsv") == sheet_subjects(tmp_path / "index.tsv", ["A", "B"]) == [whole, partly]
    write_index([whole], tmp_path / "index.tsv")
    assert "regions" not in (tmp_path / "index.tsv").read_text()
    options = PreprocessOptions(size=(32, 32), spacing=(1, 1, 2), statistics_region="nonzero")
    for subject in (whole, partly):
        write_preprocessed(preprocess_subject(subject, options), tmp_path / subject.id)
    assert read_json(tmp_path / "p1/info.json")["label"]["regions"] == ["whole", "core"]
    assert "regions" not in read_json(tmp_path / "p0/info.json")["label"]
    sheet.write_text(f"subject\tA\tB\tlabel\tregions\np0\t{files.rpartition('label')[0]}\twhole\n")
    with pytest.raises(McdError, match="line 2, column regions: says what a label holds, and there is none"):
        sheet_subjects(sheet, ["A", "B"])


def test_a_cohort_knows_its_regions_and_a_table_says_who_lacks_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    sheet = tmp_path / "sheet.tsv"
    config = yaml.safe_load(yaml.safe_dump(CONFIGURATION))
    config["cohorts"]["tiny"]["sheet"] = str(sheet)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    read = read_config(tmp_path / "config.yaml")
    sheet.write_text("subject\tA\tB\tlabel\tregions\np0\ta\tb\ta\twhole\np1\ta\tb\ta\t\n")
    found = plan.patients(read, "tiny", "data")
    comparison = next(iter(plan.comparisons(read).values()))
    noted = plan.noted(comparison, read, {"tiny": found}).spec.notes
    assert "tiny: 1 of 2 patients have a label of some regions only." in noted[-1]
    sheet.write_text("subject\tA\tB\tlabel\tregions\np0\ta\tb\ta\twhole tumour\n")
    with pytest.raises(
        McdError, match="cohort tiny: the label of p0 is said to hold tumour, and there are core, whole"
    ):
        plan.patients(read, "tiny", "data")
    assert main(["check-cohort", "--config", str(tmp_path / "config.yaml")]) == 1
    assert "the label of p0 is said to hold tumour" in " ".join(capsys.readouterr().out.split())

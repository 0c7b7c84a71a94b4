"""Table IV: FID and SSIM by image, the extractor in the column, the print only beside what compares with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from mcd import plan
from mcd.config import load_config
from mcd.errors import McdError
from mcd.evaluation.statistics import effects
from mcd.reporting.tables.spec import TableSpec
from mcd.reporting.tables.translation_table import write_translation_table

PATIENTS = 5


def config(**cohort: Any) -> Any:
    return load_config(
        {
            "cohorts": {
                "hecktor": {
                    "layout": "hecktor2020",
                    "modalities": ["CT", "PET"],
                    "pairs": ["CT-PET"],
                    "regions": {"GTVt": [1]},
                    "preprocessing": {"size": [32, 32]},
                    **cohort,
                }
            },
            "seeds": [0, 1],
        }
    )


SIMULATED = config(simulate={"subjects": 10})
PAPERS = config(folder="raw", paper_dataset="hecktor")


class Files:
    """A translation's two files a run, made up."""

    def __init__(self, folder: Path, extractor: str, made_for: Any = SIMULATED) -> None:
        self.folder, self.spec = folder, plan.translation_spec(made_for)
        self.scores: list[Path] = []
        self.distances: list[Path] = []
        rng = np.random.default_rng(0)
        for run in plan.translations(made_for, plan.TABLE_IV):
            images = list(plan.IMAGES)[: 2 if run.pretraining == "p_gan" else 4]
            ssim = [
                vars(run) | {"image": image, "subject": f"p{patient}", "slices": 9, "SSIM": rng.uniform(0.4, 0.9)}
                for image in images
                for patient in range(PATIENTS)
            ]
            fid = [
                vars(run) | {"image": image, "slices": 45, "extractor": extractor, "FID": rng.uniform(30, 90)}
                for image in images
            ]
            if not extractor:
                fid = [row | {"FID": np.nan} for row in fid]
            for rows, name, kept in ((ssim, "scores", self.scores), (fid, "distances", self.distances)):
                kept.append(folder / f"{name}{run.pretraining}{run.seed}{run.fold or ''}.csv")
                pd.DataFrame(rows).to_csv(kept[-1], index=False)

    def written(self) -> tuple[pd.DataFrame, pd.DataFrame, str]:
        assert isinstance(self.spec, TableSpec)
        out = [self.folder / f"table4{end}" for end in (".csv", "_long.csv", ".html", ".json")]
        write_translation_table(self.scores, self.distances, self.spec, *out)
        return pd.read_csv(out[0]), pd.read_csv(out[1]), out[2].read_text()

    def all(self, kind: str) -> pd.DataFrame:
        return pd.concat(map(pd.read_csv, getattr(self, kind)))


def test_the_folds_of_a_seed_are_one_training(tmp_path: Path) -> None:
    """FID is the mean of a seed's folds, with an interval over seeds; a patient's SSIM is that of its own fold."""
    files = Files(tmp_path, "EfficientNet-Lite0", config(simulate={"subjects": 10}, folds=3))
    for path in files.scores:
        table = pd.read_csv(path)
        table["subject"] = table["subject"] + "-" + table["fold"].astype(str)
        table.to_csv(path, index=False)
    _, long, page = files.written()
    assert set(long["folds"]) == {3}
    assert set(long["seeds"]) == {2}
    row = long[(long["method"] == "Multi-ConDoS") & (long["modality"] == "CT-PET:X_trans")].set_index("metric")
    ssim, fid = (
        table[(table["pretraining"] == "multi_condos") & (table["image"] == "X_trans")]
        for table in (files.all("scores"), files.all("distances"))
    )
    of_seeds = fid.groupby("seed")["FID"].mean()
    assert row.loc["FID_EfficientNet-Lite0", "value"] == pytest.approx(of_seeds.mean(), rel=1e-5)
    assert row.loc["FID_EfficientNet-Lite0", "seed_sd"] == pytest.approx(of_seeds.std(ddof=1), rel=1e-4)
    assert row.loc["FID_EfficientNet-Lite0", "interval_over"] == "seeds"
    assert row.loc["SSIM", "patients"] == 3 * PATIENTS
    assert row.loc["SSIM", "value"] == pytest.approx(ssim["SSIM"].mean(), rel=1e-5)
    assert "with folds, of those of a fold, and then the mean over folds" in page
    assert "3-fold cross-validation" in page


def test_the_numbers_are_the_means_of_the_files(tmp_path: Path) -> None:
    files = Files(tmp_path, "EfficientNet-Lite0")
    wide, long, _ = files.written()
    assert list(wide["method"]) == ["P-GAN", "Cycle-GAN", "Cycle-P-GAN", "Multi-DoS", "Multi-Con", "Multi-ConDoS"]
    keys = dict(zip(wide["method"], plan.TABLE_IV, strict=True))
    ssim, fid = files.all("scores"), files.all("distances")
    checked = 0
    for row in long.itertuples():
        method, image = keys[row.method], row.modality.partition(":")[2]
        own_ssim, own_fid = (
            table[(table["pretraining"] == method) & (table["image"] == image)] for table in (ssim, fid)
        )
        if row.metric == "SSIM":
            patients = own_ssim.groupby("subject")["SSIM"].mean()
            expected = patients.mean()
            assert (row.patients, row.seeds) == (PATIENTS, 2)
            values = own_ssim.pivot(index="seed", columns="subject", values="SSIM").to_numpy()
            (low,), (high,) = effects(values[:, :, None]).means().interval()
            assert (row.ci_low, row.ci_high) == pytest.approx((low, high), rel=1e-4)
        else:
            assert row.metric == "FID_EfficientNet-Lite0"
            expected = own_fid["FID"].mean()
            assert row.seed_sd == pytest.approx(own_fid["FID"].std(), rel=1e-4)
            ends = ttest_1samp(own_fid["FID"], 0).confidence_interval()
            assert (row.ci_low, row.ci_high) == pytest.approx(tuple(ends), rel=1e-4)
            assert row.interval_over == "seeds"
            assert np.isnan(row.patients)
        assert row.value == pytest.approx(expected, rel=1e-4)
        cell = wide.loc[wide["method"] == row.method, f"hecktor_{row.modality}_{row.metric}"].iloc[0]
        assert cell == pytest.approx(expected, abs=6e-5)
        checked += 1
    assert checked == (5 * 4 + 2) * 2


def test_p_gan_has_no_reconstructions(tmp_path: Path) -> None:
    wide, _, _ = Files(tmp_path, "EfficientNet-Lite0").written()
    row = wide.iloc[0]
    for name in wide.columns:
        if "CT-PET:" in name:
            assert pd.isna(row[name]) == ("_rec_" in name)


def test_both_are_tested_against_multi_condos(tmp_path: Path) -> None:
    """SSIM over trainings and patients, FID over trainings."""
    files = Files(tmp_path, "EfficientNet-Lite0")
    _, long, page = files.written()
    assert (long["p_holm"].notna() == (long["method"] != "Multi-ConDoS")).all()
    fid = files.all("distances").pivot(index=["image", "seed"], columns="pretraining", values="FID").loc["X_trans"]
    row = long[(long["modality"] == "CT-PET:X_trans") & (long["method"] == "P-GAN")].iloc[0]
    assert row["p"] == pytest.approx(ttest_1samp(fid["p_gan"] - fid["multi_condos"], 0).pvalue, rel=1e-4)
    assert "over trainings (FID is one number of all test slices)" in page


def test_the_page_names_extractor_images_and_simulation(tmp_path: Path) -> None:
    _, long, page = Files(tmp_path, "EfficientNet-Lite0").written()
    for words in (
        "FID EfficientNet-Lite0 ↓",
        "SSIM ↑",
        "CT′ from PET",
        "PET″ from CT′",
        "simulated patients",
        "here 45",
    ):
        assert words in page
    assert long["simulated"].all()
    assert "printed in the paper" not in page


@pytest.mark.parametrize("extractor", ["Inception", "EfficientNet-Lite0"])
def test_the_papers_fid_stands_only_beside_inceptions(tmp_path: Path, extractor: str) -> None:
    _, _, page = Files(tmp_path, extractor, PAPERS).written()
    assert "0.5976" in page  # P-GAN's SSIM of X', as printed
    assert ("79.25" in page) == (extractor == "Inception")  # its FID


def test_without_a_network_fid_is_empty_and_a_note_says_so(tmp_path: Path) -> None:
    wide, _, page = Files(tmp_path, "", PAPERS).written()
    empty = [name for name in wide.columns if name.endswith("_FID")]
    assert len(empty) == 4
    assert wide[empty].isna().all().all()
    assert "FID was not computed" in page
    assert "79.25" not in page


def test_two_networks_in_one_table_are_refused(tmp_path: Path) -> None:
    files = Files(tmp_path, "Inception")
    table = pd.read_csv(files.distances[0]).assign(extractor="EfficientNet-Lite0")
    table.to_csv(files.distances[0], index=False)
    with pytest.raises(McdError, match="different networks \\(EfficientNet-Lite0, Inception\\)"):
        files.written()


@pytest.mark.parametrize("fault", ["missing", "broken", "twice"])
def test_a_faulty_file_is_one_line_that_names_it(tmp_path: Path, fault: str) -> None:
    files = Files(tmp_path, "Inception")
    if fault == "missing":
        files.scores[0].unlink()
    elif fault == "broken":
        files.scores[0].write_text("a,b\n1,2\n")
    else:
        files.scores.append(files.scores[0])
    with pytest.raises(McdError) as error:
        files.written()
    assert files.scores[0].name in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "table4.csv").exists()

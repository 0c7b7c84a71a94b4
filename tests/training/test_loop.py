"""The training loop: resumable, reproducible, and clear when it goes wrong."""

import csv
import itertools
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.pretraining.dsgan import DSGAN
from mcd.pretraining.options import DSGANOptions, RotationOptions, SimCLROptions
from mcd.pretraining.rotation import Rotation
from mcd.pretraining.simclr import SimCLR
from mcd.seeding import derive_seed
from mcd.segmentation.options import SupervisedOptions
from mcd.segmentation.supervised import Supervised
from mcd.slices.batches import Batch, PooledSlices, SliceSet
from mcd.slices.options import Augmentation
from mcd.slices.shards import Shards
from mcd.testing.cohort import TinyCohort
from mcd.testing.interruption import epochs_begun, killed_in
from mcd.training.adam import Adam, last_move
from mcd.training.checkpoint import Checkpoint, load_checkpoint, load_resume, save_checkpoint
from mcd.training.history import MEASURED, History, warnings_of, write_history
from mcd.training.loop import train
from mcd.training.method import Losses, Method
from mcd.training.schedule import Compute, Schedule

SCHEDULE = Schedule(epochs=4, batch_size=5, learning_rate=1e-3, decay="cosine", warmup_epochs=1)


@pytest.fixture(scope="module")
def slices(tiny_cohort: TinyCohort) -> SliceSet:
    return SliceSet(Shards(tiny_cohort.shards), ["p0", "p1", "p2"], ["A", "B"])


def make_dsgan() -> DSGAN:
    torch.manual_seed(0)
    return DSGAN(DSGANOptions(discriminator_filters=4), 4, ("A", "B"))


def run(method: Method, slices: SliceSet, schedule: Schedule = SCHEDULE, **options: object) -> History:
    return train(method, slices, schedule, Compute(), seed=7, **options)  # type: ignore[arg-type]


def test_a_killed_training_resumes_to_the_same_weights(slices: SliceSet, tmp_path: Path) -> None:
    whole = make_dsgan()
    history = run(whole, slices)

    resume = tmp_path / "resume.pt"
    with killed_in(2, DSGAN):
        run(make_dsgan(), slices, resume=resume, save_every=0)
    first_try = torch.load(resume)["history"]
    assert len(first_try) == 2

    torch.manual_seed(99)  # another process has other random numbers
    resumed = DSGAN(DSGANOptions(discriminator_filters=4), 4, ("A", "B"))
    continued = run(resumed, slices, resume=resume, save_every=0)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=0, atol=0, msg=key)
    for one, other in zip(history, continued, strict=True):
        assert {k: v for k, v in one.items() if k not in MEASURED} == {
            k: v for k, v in other.items() if k not in MEASURED
        }
    assert [row["seconds"] for row in continued[: len(first_try)]] == [row["seconds"] for row in first_try]


def test_a_training_that_had_ended_when_its_job_was_killed_is_not_repeated(slices: SliceSet, tmp_path: Path) -> None:
    """However short: a job may have another training after it."""
    whole, resumed = make_dsgan(), make_dsgan()
    history = run(whole, slices, resume=tmp_path / "resume.pt")
    with epochs_begun(DSGAN) as begun:
        assert run(resumed, slices, resume=tmp_path / "resume.pt") == history
    assert begun == []
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=0, atol=0, msg=key)


def test_a_resume_file_of_another_training_is_not_taken_up(slices: SliceSet, tmp_path: Path) -> None:
    resume = tmp_path / "resume.pt"
    run(make_dsgan(), slices, SCHEDULE.model_copy(update={"epochs": 1}), resume=resume, save_every=0)
    assert load_resume(resume, {"seed": 8}) is None
    assert len(run(make_dsgan(), slices, SCHEDULE.model_copy(update={"epochs": 2}), resume=resume, save_every=0)) == 2
    resume.write_bytes(resume.read_bytes()[:100])
    assert load_resume(resume, {}) is None


def test_the_same_seed_gives_the_same_weights_and_another_does_not(slices: SliceSet) -> None:
    one, same, other = make_dsgan(), make_dsgan(), make_dsgan()
    run(one, slices)
    run(same, slices)
    train(other, slices, SCHEDULE, Compute(), seed=8)
    key = "generator.branches.0.encoder.0.0.weight"
    assert torch.equal(one.state_dict()[key], same.state_dict()[key])
    assert not torch.equal(one.state_dict()[key], other.state_dict()[key])


class TwoPlayers(Method):
    """Each player's loss touches both parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
        self.seen: list[tuple[str, float, float]] = []

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"one": [self.one], "two": [self.two]}

    def losses(self, batch: Batch, player: str) -> Losses:
        self.seen.append((player, self.one.item(), self.two.item()))
        return {"total": (self.one * self.two).sum()}


def test_streamed_slices_train_the_same_weights(slices: SliceSet, tiny_cohort: TinyCohort) -> None:
    with Shards(tiny_cohort.shards) as shards:
        streamed = SliceSet(shards, ["p0", "p1", "p2"], ["A", "B"], memory_limit=0)
        assert slices.in_memory
        assert not streamed.in_memory
        ours, theirs = make_dsgan(), make_dsgan()
        run(ours, slices)
        run(theirs, streamed)
    for key, value in ours.state_dict().items():
        assert torch.equal(theirs.state_dict()[key], value), key


def test_a_player_moves_its_own_parameters_only(slices: SliceSet) -> None:
    method = TwoPlayers()
    run(method, slices, Schedule(epochs=1, batch_size=9, learning_rate=0.1))
    (_, one, two), (_, one_after, two_after) = method.seen[:2]
    assert one_after != one
    assert two_after == two
    assert method.one.requires_grad
    assert method.two.requires_grad


class Diverging(TwoPlayers):
    """The second player's `part` is not finite in the batch numbered `at`, counted over the training."""

    def __init__(self, at: int, value: float = float("nan")) -> None:
        super().__init__()
        self.at, self.value = at, value
        self.drawn: list[set[int]] = []

    def losses(self, batch: Batch, player: str) -> Losses:
        part = (self.one + self.two).sum()
        if player == "one":
            self.drawn.append(set(batch.subjects.tolist()))
        elif len(self.drawn) == self.at:
            part = part * self.value
        return {"part": part, "total": 2 * part} if player == "two" else {"total": part}


@pytest.mark.parametrize(("at", "epoch", "step", "value"), [(1, 1, 1, "nan"), (3, 1, 3, "inf"), (9, 2, 4, "nan")])
def test_a_loss_that_is_not_finite_ends_the_training_with_its_name_and_its_patients(
    slices: SliceSet, at: int, epoch: int, step: int, value: str
) -> None:
    method = Diverging(at, float(value))
    with pytest.raises(McdError) as caught:
        run(method, slices, Schedule(epochs=2, batch_size=2, steps_per_epoch=5))
    patients = ", ".join(slices.subjects[position] for position in sorted(method.drawn[at - 1]))
    assert len(method.drawn) == 5 * epoch  # looked at once an epoch
    assert str(caught.value) == (
        f"training: in step {step}, with slices of {patients}, the loss part became {value} in epoch {epoch}; "
        "lower the learning rate or its weight"
    )


def test_images_that_are_not_finite_are_blamed_on_their_patient(tiny_cohort: TinyCohort) -> None:
    broken = SliceSet(Shards(tiny_cohort.shards), ["p0", "p1", "p2"], ["A", "B"])
    assert broken._images is not None
    broken._images[np.flatnonzero(broken.subject_of == 1)[2], 0, 5, 5] = torch.inf
    with pytest.raises(McdError, match=r"with slices of p1, the loss .* their images are not finite: preprocess them"):
        run(make_dsgan(), broken, Schedule(epochs=1, batch_size=len(broken)))


class Still(TwoPlayers):
    """No gradient reaches the second player from the third epoch on."""

    def before_epoch(self, epoch: int, epochs: int) -> None:
        self.factor = 1.0 if epoch < 2 else 0.0

    def losses(self, batch: Batch, player: str) -> Losses:
        return {"total": (self.one.square() + self.two.square() * self.factor).sum()}


def test_a_warning_is_logged_once_and_stands_in_every_row_that_it_holds_in(
    slices: SliceSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = Schedule(epochs=7, batch_size=2, steps_per_epoch=200, learning_rate=1e-4)
    history = run(Still(), slices, schedule)
    begun = [number for number, row in enumerate(history) if "warning" in row]
    assert begun == [4, 5, 6]  # after the third epoch that stood still
    assert history[4]["weights_moved"] == 0
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"epoch 5: {history[4]['warning']}"
    ]
    assert warnings_of(history) == [f"epochs 5 to 7: {history[4]['warning']}"]
    write_history(history, tmp_path / "losses.csv")
    with open(tmp_path / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["warning"]) for row in rows] == [False] * 4 + [True] * 3
    assert warnings_of(rows) == warnings_of(history)


def bare_steps(method: Method, slices: SliceSet, optimizer: torch.optim.Optimizer, epochs: int) -> None:
    """What a training with seed 7 and batches of 5 comes down to."""
    for epoch in range(epochs):
        torch.manual_seed(derive_seed(7, "epoch", epoch))
        method.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for indices in method.batches(slices, 5, np.random.default_rng(derive_seed(7, "batches", epoch))):
            optimizer.zero_grad()
            method.losses(slices.batch(indices), "network")["total"].backward()
            optimizer.step()


def test_what_is_watched_and_recorded_changes_no_bit(slices: SliceSet) -> None:
    """The weights are those of bare steps of Adam; SimCLR draws random views, so that a number drawn beside would show."""

    def make() -> SimCLR:
        torch.manual_seed(0)
        return SimCLR(SimCLROptions(), 4, ("A",), (32, 32))

    schedule = Schedule(epochs=3, batch_size=5, learning_rate=1e-3)
    ours, bare = make(), make()
    pooled = PooledSlices(slices)
    train(ours, pooled, schedule, Compute(), seed=7)
    optimizer = torch.optim.Adam(bare.players()["network"], lr=1e-3, betas=schedule.betas, fused=True)
    bare_steps(bare, pooled, optimizer, schedule.epochs)
    for key, value in bare.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key


@pytest.mark.parametrize(("form", "reference"), [("coupled", torch.optim.Adam), ("decoupled", torch.optim.AdamW)])
def test_weight_decay_is_torch_s_in_either_form(slices: SliceSet, form: Any, reference: type[torch.optim.Adam]) -> None:
    def make() -> Rotation:
        torch.manual_seed(0)
        return Rotation(RotationOptions(), 2, ("A",), (32, 32))

    schedule = Schedule(epochs=2, batch_size=5, learning_rate=1e-2, weight_decay=0.3, weight_decay_form=form)
    ours, bare, pooled = make(), make(), PooledSlices(slices)
    train(ours, pooled, schedule, Compute(), seed=7)
    optimizer = reference(bare.players()["network"], lr=1e-2, betas=schedule.betas, weight_decay=0.3, fused=True)
    bare_steps(bare, pooled, optimizer, schedule.epochs)
    for key, value in bare.state_dict().items():
        assert torch.allclose(ours.state_dict()[key], value, atol=1e-6), key


def test_transferred_layers_may_learn_at_a_rate_of_their_own(tiny_cohort: TinyCohort) -> None:
    """Adam's first step moves every weight that has a gradient by its learning rate."""
    torch.manual_seed(0)
    unet = UNet(2, out_channels=1)
    before = {name: value.detach().clone() for name, value in unet.named_parameters()}
    method = Supervised(unet, Augmentation(), SupervisedOptions())
    method.transferred, method.transferred_rate = [name for name in before if name.startswith("encoder.")], 0.25
    with Shards(tiny_cohort.shards) as shards:
        labelled = SliceSet(shards, ["p0"], ["A"], regions={"WT": [1, 2]}, select="target")
        schedule = Schedule(epochs=1, steps_per_epoch=1, batch_size=4, learning_rate=1e-3)
        train(method, labelled, schedule, Compute(), seed=0)
    for name, value in unet.named_parameters():
        moved = float((value.detach() - before[name]).abs().max())
        if name.endswith("weight"):  # a bias before batch norm has no gradient
            assert moved == pytest.approx(2.5e-4 if name.startswith("encoder.") else 1e-3, rel=0.02), name


def test_a_watcher_sees_the_losses_after_every_epoch_and_the_log_says_what_is_left(
    slices: SliceSet, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []
    with caplog.at_level("INFO"):
        history = run(make_dsgan(), slices, watch=lambda rows, _: seen.append(len(rows)))
    assert seen == [1, 2, 3, 4]
    lines = [record.message for record in caplog.records if record.message.startswith("epoch")]
    assert all(line.endswith(" left") for line in lines[:-1])
    assert not lines[-1].endswith("left")
    assert f"{history[0]['seconds'] * 3:.1f} s left" in lines[0]


def test_the_last_step_is_measured_against_the_weights() -> None:
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(40)), nn.Parameter(torch.randn(3, 4))]
    unused = nn.Parameter(torch.ones(2))
    optimizer = Adam([*weights, unused], lr=1e-2, betas=(0.5, 0.9))
    assert last_move(optimizer) == 0
    for _ in range(5):
        before = [weight.detach().clone() for weight in weights]
        optimizer.zero_grad()
        torch.stack([(weight.sin() * weight).sum() for weight in weights]).sum().backward()
        optimizer.step()
    moved = sum(float((weight - old).detach().square().sum()) for weight, old in zip(weights, before, strict=True))
    norm = sum(float(weight.detach().square().sum()) for weight in [*weights, unused])
    assert last_move(optimizer) == pytest.approx((moved / norm) ** 0.5, rel=1e-4)


def test_steps_per_epoch_counts_whatever_the_number_of_slices(slices: SliceSet) -> None:
    method = TwoPlayers()
    run(method, slices, Schedule(epochs=2, batch_size=9, steps_per_epoch=7))
    assert len(method.seen) == 2 * 2 * 7


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    schedule = Schedule(epochs=70, batch_size=1, decay="cosine", warmup_epochs=5)
    rates = [schedule.rate(epoch) for epoch in np.linspace(0, 70, 281)]
    assert rates[0] == 0
    assert rates[20] == pytest.approx(1)
    assert rates[10] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert schedule.rate(37.5) == pytest.approx(0.5)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[20:]))
    assert {Schedule(epochs=3, batch_size=1).rate(epoch) for epoch in (0, 1.5, 3)} == {1.0}


def test_bf16_trains_and_losses_stay_in_single_precision(slices: SliceSet) -> None:
    method = make_dsgan()
    history = train(method, slices, SCHEDULE.model_copy(update={"epochs": 1}), Compute(precision="bf16"), seed=7)
    assert np.isfinite(history[0]["generator_total"])
    assert all(parameter.dtype == torch.float32 for parameter in method.parameters())


def test_history_is_written_one_row_an_epoch(slices: SliceSet, tmp_path: Path) -> None:
    history = run(make_dsgan(), slices, SCHEDULE.model_copy(update={"epochs": 2}))
    write_history(history, tmp_path / "losses.csv")
    header, *rows = (tmp_path / "losses.csv").read_text().splitlines()
    assert header.startswith(
        "epoch,learning_rate,steps,slices_per_second,seconds,images,memory_mib,gpu_memory_mib,device,mcd_version,adver"
    )
    assert len(rows) == 2


def test_an_epoch_says_what_it_cost(slices: SliceSet) -> None:
    class Slow(DSGAN):
        def losses(self, batch: Batch, player: str) -> Losses:
            time.sleep(0.02)
            return super().losses(batch, player)

    method = Slow(DSGANOptions(discriminator_filters=4), 4, ("A", "B"))
    (row,) = run(method, slices, SCHEDULE.model_copy(update={"epochs": 1, "steps_per_epoch": 3}))
    assert row["seconds"] >= 3 * 2 * 0.02
    assert row["images"] == 3 * SCHEDULE.batch_size * 2  # of two modalities
    speed = row["images"] / 2 / row["seconds"]
    rounded = 0.05 + speed * 0.0005 / row["seconds"]  # one decimal, of seconds to three
    assert row["slices_per_second"] == pytest.approx(speed, abs=1.01 * rounded)
    assert row["device"].startswith("CPU, ")
    assert row["gpu_memory_mib"] is None


def test_the_peak_of_memory_is_this_program_s_and_stays_when_memory_is_given_back() -> None:
    code = (
        "import numpy as np\n"
        "from mcd.training.cost import peak_memory\n"
        "before = peak_memory()\n"
        "held = np.ones(50 * 2**20, np.uint8)\n"
        "del held\n"
        "print(before, peak_memory())"
    )
    held = np.ones(1000 * 2**20, np.uint8)  # what the starting program holds does not count
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    del held
    before, after = map(float, run.stdout.split())
    assert before < after < 1000  # importing torch alone takes 350 to 650, by the version of Python
    assert after - before == pytest.approx(50, abs=5)


def test_checkpoints_describe_themselves_and_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save_checkpoint(Checkpoint("segmentation", {"filters": 4}, {"network": {"w": torch.ones(2)}}), path)
    loaded = load_checkpoint(path, "segmentation")
    assert loaded.description == {"filters": 4}
    assert loaded.weights["network"]["w"].tolist() == [1, 1]
    with pytest.raises(McdError, match="is a segmentation checkpoint"):
        load_checkpoint(path, "pretraining")
    with pytest.raises(McdError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(McdError, match="not a readable checkpoint"):
        load_checkpoint(path)
    torch.save({"something": "else"}, path)
    with pytest.raises(McdError, match="not a mcd-checkpoint/1"):
        load_checkpoint(path)


def test_a_checkpoint_may_have_any_name_and_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    checkpoint = Checkpoint("segmentation", {"seed": 0}, {"network": {"weight": torch.ones(2)}})
    for name in ("model", "model.pt", ".hidden"):
        save_checkpoint(checkpoint, tmp_path / name)
        assert load_checkpoint(tmp_path / name).description == {"seed": 0}
    assert (tmp_path / "model").read_bytes() == (tmp_path / "model.pt").read_bytes()

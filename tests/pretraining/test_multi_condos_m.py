"""Multi-ConDoS-M: DSGAN's own step on a pair that is drawn for it, and what is handed back of it."""

from collections import Counter
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mcd.diagnosis.run import diagnose
from mcd.errors import McdError
from mcd.pretraining.dsgan import DSGAN
from mcd.pretraining.options import DSGANOptions, PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.seeding import derive_seed
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.slices.batches import Batch, PairedSlices, SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, write_split
from mcd.slices.write_shards import write_subjects
from mcd.testing.checks import same_weights
from mcd.testing.cohort import tiny_volumes
from mcd.testing.interruption import killed_in
from mcd.training.checkpoint import load_checkpoint
from mcd.training.history import write_history
from mcd.training.loop import only, train
from mcd.training.schedule import Compute, Schedule
from mcd.translation.passes import Passes
from mcd.translation.run import load_generators

NAMES = ("A", "B", "C", "D")
OPTIONS = DSGANOptions(discriminator_filters=2)
CPU = Compute(device="cpu")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A shard and a split of six patients with four modalities: p0 has no C, and p1 neither C nor D."""
    folder = tmp_path_factory.mktemp("four")
    subjects = []
    for number in range(6):
        made = tiny_volumes(number)
        for name, other in (("C", "A"), ("D", "B")):
            made.volumes[name] = -made.volumes[other] * 0.5
            made.info["statistics"][name] = made.info["statistics"][other]
            made.info["raw_grids"][name] = made.info["raw_grids"][other]
        for name in {0: "C", 1: "CD"}.get(number, ""):
            made.volumes[name] = np.zeros_like(made.volumes[name])
        subjects.append((f"p{number}", made))
    write_subjects(folder / "0.h5", subjects)
    write_split(Split(train=["p0", "p1", "p2", "p3"], test=["p4", "p5"]), folder / "split.json")
    return folder / "0.h5", folder / "split.json"


def paired(shards: Shards, modalities: tuple[str, ...] = NAMES, **more: Any) -> PairedSlices:
    return PairedSlices(SliceSet(shards, ["p0", "p1", "p2", "p3"], modalities, select="pairs", **more))


def drawn(slices: PairedSlices, passes: int = 1, **options: Any) -> list[list[np.ndarray]]:
    """The batches of some passes."""
    method = DSGAN(OPTIONS.model_copy(update=options), 2, slices.modalities)
    return [list(method.batches(slices, 4, np.random.default_rng(number))) for number in range(passes)]


def made(modalities: tuple[str, ...] = NAMES, **options: Any) -> DSGAN:
    torch.manual_seed(1)
    return DSGAN(OPTIONS.model_copy(update=options), 2, modalities)


def of_pair(method: DSGAN, pair: tuple[int, int]) -> DSGAN:
    """The DSGAN of a pair alone, as the paper has it, with the weights of the pair's branches and discriminators."""
    alone = DSGAN(method.options, 2, [method.modalities[position] for position in pair])
    for own, position, other in zip(alone.generator.branches, pair, pair[::-1], strict=True):
        state = dict(method.generator.branch(position).state_dict())
        channel = [name for name in range(len(method.modalities)) if name != position].index(other)
        for key in ("output.weight", "output.bias"):
            state[key] = state[key][channel : channel + 1]
        own.load_state_dict(state)
    for own, position in zip(alone.discriminators, pair, strict=False):
        own.load_state_dict(method.discriminators[position].state_dict())
    return alone


def batch_of(pair: tuple[int, int], seed: int, count: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 2, 32, 32, generator=generator)
    return Batch(images, None, torch.arange(count), torch.zeros(count), torch.ones(count, 2), pair=pair)


def gradients(method: DSGAN, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Those of both players, by parameter, and the losses; what no loss reaches is not there."""
    found: dict[str, Tensor] = {}
    values: dict[str, float] = {}
    players = {name: list(parameters) for name, parameters in method.players().items()}
    for player in players:
        with only(player, players):
            method.zero_grad(set_to_none=True)
            losses = method.losses(batch, player)
            losses["total"].backward()
        values |= {f"{player} {name}": float(value.detach()) for name, value in losses.items()}
        found |= {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}
    return found, values


def branch_of(name: str, which: str = "generator.branches") -> int | None:
    prefix = f"{which}."
    return int(name.removeprefix(prefix).split(".")[0]) if name.startswith(prefix) else None


@pytest.mark.parametrize("options", [{}, {"shared": 0}, {"shared": 3, "contrastive": 0.0}, {"adversarial": 0.0}])
def test_each_step_is_that_of_the_drawn_pairs_own_dsgan(options: dict[str, Any]) -> None:
    """Losses, gradients and batch statistics of both players, along a training whose steps draw different pairs."""
    method = made(**options)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for step, pair in enumerate([(0, 2), (1, 3), (0, 1), (2, 3), (0, 2)]):
        alone, batch = of_pair(method, pair), batch_of(pair, step)
        expected, losses = gradients(alone, Batch(**{**vars(batch), "pair": None}))
        found, values = gradients(method, batch)
        assert values == pytest.approx(losses, rel=1e-5)
        to_alone = {f"generator.branches.{own}.": f"generator.branches.{place}." for place, own in enumerate(pair)}
        to_alone |= {f"discriminators.{own}.": f"discriminators.{place}." for place, own in enumerate(pair)}
        seen = set()
        for name, gradient in found.items():
            # torch names a module that several share by the first that has it
            prefix = next((prefix for prefix in to_alone if name.startswith(prefix)), "generator.branches.0.")
            place = to_alone.get(prefix, prefix) + name.removeprefix(prefix)
            if "output" in name:
                own = pair[int(place.split(".")[2])]
                other = pair[1] if own == pair[0] else pair[0]
                channel = [number for number in range(4) if number != own].index(other)
                rest = [number for number in range(3) if number != channel]
                assert not gradient[rest].any()
                gradient = gradient[channel : channel + 1]
            torch.testing.assert_close(gradient, expected[place], rtol=1e-4, atol=1e-6)
            seen.add(place)
        assert seen == set(expected)
        for branch, position in zip(alone.generator.branches, pair, strict=True):
            state = method.generator.branch(position).state_dict()
            for key, value in branch.state_dict().items():
                if "running" in key:
                    torch.testing.assert_close(state[key], value)
        method.zero_grad(set_to_none=True)
        for name, parameter in method.named_parameters():
            parameter.grad = found.get(name)
        optimizer.step()


def test_a_modality_learns_in_its_own_pairs_alone_and_the_shared_layers_in_all() -> None:
    method = made()
    shared = {id(p) for p in method.generator.branch(0).encoder[4].parameters()}
    assert shared == {id(p) for p in method.generator.branch(3).encoder[4].parameters()}
    for pair in combinations(range(4), 2):
        found, _ = gradients(method, batch_of(pair, 0))
        reached = {branch_of(name) for name in found if "encoder.0" in name} - {None}
        judges = {branch_of(name, "discriminators") for name in found} - {None}
        assert reached == judges == set(pair)
        assert any("encoder.4" in name and gradient.any() for name, gradient in found.items())


@pytest.mark.parametrize("order", ["shuffled", "spread"])
@pytest.mark.parametrize("steps", [None, 5])
def test_in_two_modalities_it_is_the_pairs_training_to_the_last_bit(
    cohort: tuple[Path, Path], order: str, steps: int | None
) -> None:
    """The same seed, batches drawn as of pairs or as ever, by the loop that trains both."""
    ends = []
    for wrapped in (True, False):
        with Shards([cohort[0]]) as shards:
            slices = SliceSet(shards, ["p2", "p3"], ["A", "B"], select="pairs" if wrapped else "content")
            method = made(("A", "B"), batches=order)
            schedule = Schedule(epochs=2, batch_size=4, steps_per_epoch=steps, learning_rate=0.01)
            history = train(method, PairedSlices(slices) if wrapped else slices, schedule, CPU, seed=3)
        ends.append((method.state_dict(), [row["generator_total"] for row in history]))
    (one, losses), (other, of_other) = ends
    assert losses == of_other
    assert all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("order", ["shuffled", "spread"])
def test_every_pair_is_drawn_equally_often_and_each_modality_as_often_as_in_its_pair(
    cohort: tuple[Path, Path], order: str
) -> None:
    with Shards([cohort[0]]) as shards:
        slices = paired(shards)
        counts: Counter[int] = Counter()
        for batches in drawn(slices, passes=6, batches=order):
            pairs = [set(indices // len(slices.slices)) for indices in batches]
            assert all(len(pair) == 1 for pair in pairs), "a batch is of one pair"
            counts.update(pair.pop() for pair in pairs)
            whole = [len(own) // 4 for own in slices.of_pairs]
            assert len(batches) <= round(2 * np.mean(whole))  # the passes over two pairs together
            if order == "shuffled":
                assert len(batches) == round(2 * np.mean(whole))
        assert len(counts) == 6
        assert max(counts.values()) - min(counts.values()) <= 6, "within one a pass"


def test_what_a_patient_has_not_is_not_drawn(cohort: tuple[Path, Path]) -> None:
    with Shards([cohort[0]]) as shards:
        slices = paired(shards)
        seen: set[tuple[str, int, tuple[int, int]]] = set()
        for batches in drawn(slices, passes=12):
            for indices in batches:
                batch = slices.batch(indices)
                assert batch.pair
                assert batch.images.shape[1:] == (2, 32, 32)
                assert (batch.images != 0).flatten(2).any(2).all(), "a slice is black in neither modality"
                for index in indices:
                    seen.add((slices.subjects[slices.subject_of[index]], int(index % len(slices.slices)), batch.pair))
        pairs = {name: {pair for subject, _, pair in seen if subject == name} for name in ("p0", "p1", "p2")}
        everything = set(combinations(range(4), 2))
        assert pairs == {
            "p0": {pair for pair in everything if 2 not in pair},
            "p1": {(0, 1)},
            "p2": everything,
        }
        # in A and C the outer slices are there, which are black in B and D
        assert {len({at for subject, at, own in seen if (subject, own) == ("p2", pair)}) for pair in [(0, 2)]} == {8}
        assert {len({at for subject, at, own in seen if (subject, own) == ("p2", pair)}) for pair in [(0, 1)]} == {6}


def test_a_batch_holds_its_pairs_images_in_memory_and_streamed(cohort: tuple[Path, Path]) -> None:
    with Shards([cohort[0]]) as shards:
        held, streamed = paired(shards), paired(shards, memory_limit=0)
        assert held.in_memory
        assert not streamed.in_memory
        number = held.pairs.index((1, 2))
        indices = held.of_pairs[number][[5, 0, 3]]
        for slices in (held, streamed):
            ((_, batch),) = slices.batches([indices])
            assert batch.pair == (1, 2)
            for image, index in zip(batch.images, indices, strict=True):
                subject = slices.subjects[slices.subject_of[index]]
                row = slices.slices.rows[index % len(slices.slices)]
                volume = shards.read(subject, "images", [row], shards.modality_positions(["B", "C"]))[0]
                np.testing.assert_array_equal(image.numpy(), volume.astype(np.float32))
        assert held.identity() == streamed.identity()


def test_a_modality_that_meets_no_other_is_refused(cohort: tuple[Path, Path]) -> None:
    with Shards([cohort[0]]) as shards:
        slices = SliceSet(shards, ["p0", "p1"], NAMES, select="pairs")
        with pytest.raises(McdError, match=r"^C: no two slices show it together with another modality; leave it out"):
            PairedSlices(slices)


TASK = PretrainingTask(
    algorithm="dsgan",
    options={"discriminator_filters": 2},
    modalities=NAMES[:3],
    filters=2,
    epochs=3,
    batch_size=4,
    steps_per_epoch=3,
)


def test_it_resumes_to_the_same_bits_and_hands_back_the_branches(
    cohort: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = partial(pretrain, TASK, shards=[cohort[0]], split=cohort[1], compute=CPU)
    trained: list[nn.Module] = []

    def kept(method: DSGAN, *positional: Any, **named: Any) -> Any:
        trained.append(method)
        return train(method, *positional, **named, save_every=0.0)

    monkeypatch.setattr("mcd.pretraining.run.train", kept)
    history = start(output=tmp_path / "whole.pt")
    assert [row["steps"] for row in history] == [5] * 3, "three modalities: one and a half times a pair's steps"
    with killed_in(2, DSGAN):
        start(output=tmp_path / "resumed.pt", resume=tmp_path / "state")
    start(output=tmp_path / "resumed.pt", resume=tmp_path / "state")
    whole, resumed = (load_checkpoint(tmp_path / name) for name in ("whole.pt", "resumed.pt"))
    assert same_weights(whole, resumed)
    start(output=tmp_path / "other.pt")
    assert same_weights(whole, load_checkpoint(tmp_path / "other.pt"))

    method = trained[0]
    assert isinstance(method, DSGAN)
    assert list(whole.weights) == list(TASK.modalities)
    for branch, state in zip(method.generator.branches, whole.weights.values(), strict=True):
        assert all(torch.equal(value, state[key]) for key, value in branch.state_dict().items())
    again = load_generators(tmp_path / "whole.pt")
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(again.translate(images, 2, 0)[0], method.translate(images, 2, 0)[0])
    assert set(whole.weights["C"]) - set(whole.description["trained"]) == {"output.weight", "output.bias"}


def test_its_pictures_are_of_one_pair(cohort: tuple[Path, Path], tmp_path: Path) -> None:
    made: list[dict[str, np.ndarray]] = []
    start = partial(pretrain, TASK, shards=[cohort[0]], split=cohort[1], compute=CPU, output=tmp_path / "pre.pt")
    start(watch=lambda _, pictures: made.append(pictures()))
    with Shards([cohort[0]]) as shards:
        slices = paired(shards, TASK.modalities)
        real = slices.batch(slices.of_pairs[0]).images.numpy()
        mixed = np.array([slices.of_pairs[0][0], slices.of_pairs[1][0]])
        with pytest.raises(ValueError, match="of one pair"):
            slices.batch(mixed)
    method = load_generators(tmp_path / "pre.pt")
    images = torch.from_numpy(made[-1]["image"])
    assert {image.tobytes() for image in images.numpy()} <= {image.tobytes() for image in real}
    with torch.no_grad():
        y_translated = method.translate(images[:, :1], 0, 1)[0]
        x_again = method.translate(y_translated, 1, 0)[0]
    torch.testing.assert_close(torch.from_numpy(made[-1]["translation"][:, 1:]), y_translated)
    torch.testing.assert_close(torch.from_numpy(made[-1]["reconstruction"][:, :1]), x_again)


def test_fine_tuning_starts_from_a_modalitys_own_branch(cohort: tuple[Path, Path], tmp_path: Path) -> None:
    pretrain(TASK, shards=[cohort[0]], split=cohort[1], output=tmp_path / "pre.pt", compute=CPU)
    finetune(
        FinetuningTask(
            modality="B",
            regions={"whole": [1, 2]},
            label_ratio=1.0,
            filters=2,
            schedule=Schedule.model_construct(epochs=1, batch_size=4, steps_per_epoch=1, learning_rate=0.0),
        ),
        shards=[cohort[0]],
        split=cohort[1],
        output=tmp_path / "model.pt",
        pretrained=tmp_path / "pre.pt",
        compute=CPU,
    )
    before, model = load_checkpoint(tmp_path / "pre.pt"), load_checkpoint(tmp_path / "model.pt")
    assert set(model.description["transferred"]) == set(before.description["trained"])
    for key in model.description["transferred"]:
        if "running" not in key and "num_batches" not in key:
            assert torch.equal(model.weights["network"][key], before.weights["B"][key]), key


def test_its_generators_are_diagnosed_pair_by_pair(cohort: tuple[Path, Path], tmp_path: Path) -> None:
    split = tmp_path / "split.json"
    write_split(Split(train=["p2", "p3"], test=["p4", "p5"]), split)
    history = pretrain(TASK, shards=[cohort[0]], split=split, output=tmp_path / "pre.pt", compute=CPU)
    write_history(history, tmp_path / "losses.csv")
    found = diagnose(
        pretrained=tmp_path / "pre.pt",
        losses=tmp_path / "losses.csv",
        models=[],
        shards=[cohort[0]],
        split=split,
        output=tmp_path / "numbers.csv",
        columns={"cohort": "four", "pair": "A-B-C", "pretraining": "multi_condos_m", "seed": 0},
        regions={"whole": [1, 2]},
        compute=CPU,
    )
    method = load_generators(tmp_path / "pre.pt")
    errors: dict[str, list[float]] = {}
    with Shards([cohort[0]]) as shards:
        for pair in combinations(range(3), 2):
            names = [TASK.modalities[position] for position in pair]
            learned, unseen = (SliceSet(shards, part, names) for part in (["p2", "p3"], ["p4", "p5"]))
            passes = Passes(method, CPU, reconstructions=False, pair=pair)
            passes.estimate(learned, derive_seed(0, "statistics"))
            real = unseen.batch(np.arange(len(unseen))).images
            with torch.inference_mode():
                for image, target in zip(("X_trans", "Y_trans"), (0, 1), strict=True):
                    passes._use(image)
                    made_of = method.translate(real[:, 1 - target : 2 - target], pair[1 - target], pair[target])[0]
                    error = (made_of[:, 0] - real[:, target]).abs().mean()
                    errors.setdefault(names[target], []).append(float(error))
    numbers = {number.modality: number.value for number in found.of("translation", "l1")}
    assert numbers == pytest.approx({name: np.mean(values) for name, values in errors.items()}, rel=1e-4)
    assert {len(values) for values in errors.values()} == {2}
    assert {number.modality for number in found.of("probe")} == set(TASK.modalities)


def test_other_multimodal_methods_still_need_a_pair(cohort: tuple[Path, Path], tmp_path: Path) -> None:
    task = TASK.model_copy(update={"algorithm": "contig", "options": {}})
    with pytest.raises(McdError, match="contig: pre-trains on a pair"):
        pretrain(task, shards=[cohort[0]], split=cohort[1], output=tmp_path / "x.pt", compute=CPU)

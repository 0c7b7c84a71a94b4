"""BCP: what is pasted where, who names it, and that the teacher only ever follows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mcd.segmentation.bcp import BCP, rectangle
from mcd.slices.batches import Batch

Make = Callable[..., BCP]


def dice_and_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, within: torch.Tensor) -> float:
    """Half of their sum, over the pixels in the mask."""
    at = within.expand_as(logits).numpy()
    p, y = (1 / (1 + np.exp(-logits.double().numpy()))), targets.double().numpy()
    dice = []
    for region in range(p.shape[1]):
        own = at[:, region]
        said, truth = p[:, region][own], y[:, region][own]
        dice.append((1 - (2 * (said @ truth) + 1) / (said.sum() + truth.sum() + 1)) if truth.any() else 0.0)
    cross_entropy = -np.mean(y[at] * np.log(p[at]) + (1 - y[at]) * np.log(1 - p[at]))
    return 0.5 * (float(np.mean(dice)) + float(cross_entropy))


def one_step(
    method: BCP, batch: Batch, seed: int = 5
) -> tuple[list[torch.Tensor], torch.Tensor, dict[str, torch.Tensor]]:
    """What the student saw and said, the rectangle, and the losses."""
    kept: list[torch.Tensor] = []
    handle = method.unet.register_forward_hook(lambda _, inputs, output: kept.extend([inputs[0], output]))
    torch.manual_seed(seed)
    losses = method.losses(batch, "student")
    handle.remove()
    torch.manual_seed(seed)
    method.augmented(batch)
    return kept, rectangle((32, 32), method.options.side), losses


def test_the_rectangle_has_two_thirds_of_each_side_and_lies_anywhere() -> None:
    torch.manual_seed(0)
    corners = set()
    for _ in range(300):
        mask = rectangle((32, 48), 2 / 3)
        assert mask.shape == (1, 1, 32, 48)
        rows, columns = (torch.nonzero(mask[0, 0].any(axis)).flatten() for axis in (1, 0))
        assert (len(rows), len(columns)) == (21, 32)
        assert mask.sum() == 21 * 32
        corners.add((rows[0].item(), columns[0].item()))
    assert {row for row, _ in corners} == set(range(12))
    assert {column for _, column in corners} == set(range(17))


@pytest.mark.parametrize("labelled", [[0, 1, 2], [0, 1], [0]])
def test_each_labelled_slice_is_pasted_both_ways(labelled: list[int], make_method: Make, batch: Batch) -> None:
    assert batch.targets is not None
    at = [*labelled, 3, 4]
    part = Batch(**{name: values[at] for name, values in vars(batch).items() if values is not None})
    method = make_method("bcp")
    (seen, _), inside, _ = one_step(method, part)
    own = batch.images[labelled]
    others = torch.stack([batch.images[3 + n % 2] for n in range(len(labelled))])
    expected = []
    for outer, inner in ((others, own), (own, others)):
        mixed = outer.clone()
        for n in range(len(labelled)):
            for y, x in torch.nonzero(inside[0, 0]).tolist():
                mixed[n, 0, y, x] = inner[n, 0, y, x]
        expected.append(mixed)
    torch.testing.assert_close(seen, torch.cat(expected))


def test_the_total_counts_labels_whole_and_the_teachers_regions_half(make_method: Make, batch: Batch) -> None:
    method = make_method("bcp", unlabelled=0.3)
    with torch.no_grad():
        method.teacher.output.get_parameter("bias").add_(torch.tensor([0.1, -0.05]))
        taught = (torch.sigmoid(method.teacher(batch.images[3:])) > 0.5).float()[[0, 1, 0]]
        (_, said), inside, losses = one_step(method, batch)
    assert 0 < taught.mean() < 1
    assert batch.targets is not None
    targets = batch.targets[:3]
    into_others, into_own = said.chunk(2)
    labelled = dice_and_cross_entropy(into_others, targets, inside) + dice_and_cross_entropy(into_own, targets, ~inside)
    unlabelled = dice_and_cross_entropy(into_others, taught, ~inside) + dice_and_cross_entropy(into_own, taught, inside)
    assert losses["labelled"].item() == pytest.approx(labelled, rel=1e-4)
    assert losses["unlabelled"].item() == pytest.approx(unlabelled, rel=1e-4)
    assert losses["total"].item() == pytest.approx(labelled + 0.3 * unlabelled, rel=1e-4)


def test_at_first_labelled_slices_are_pasted_into_each_other(make_method: Make, batch: Batch) -> None:
    method = make_method("bcp")
    method.before_epoch(0, 8)
    asked: list[Any] = []
    method.teacher.register_forward_hook(lambda *_: asked.append(True))
    with torch.no_grad():
        (seen, said), inside, losses = one_step(method, batch)
    assert not asked
    assert batch.targets is not None
    own, targets = batch.images[:3], batch.targets[:3]
    partners = [2, 0, 1]
    torch.testing.assert_close(seen, torch.where(inside, own[partners], own))
    expected = dice_and_cross_entropy(said, targets, ~inside) + dice_and_cross_entropy(said, targets[partners], inside)
    assert losses["labelled"].item() == pytest.approx(expected, rel=1e-4)
    assert losses["total"] == losses["labelled"]
    assert losses["unlabelled"] == 0


@pytest.mark.parametrize(
    ("share", "epochs", "alone"), [(0.25, 8, 2), (0.25, 70, 18), (0.25, 1, 0), (0.25, 2, 0), (0.0, 5, 0), (1.0, 5, 4)]
)
def test_a_quarter_of_the_epochs_and_never_all_are_for_labels_alone(
    share: float, epochs: int, alone: int, make_method: Make
) -> None:
    method = make_method("bcp", labelled_alone=share)
    stages = []
    for epoch in range(epochs):
        method.before_epoch(epoch, epochs)
        stages.append(method.labelled_alone)
    assert stages == [True] * alone + [False] * (epochs - alone)


def test_the_teacher_begins_as_the_student_of_the_first_stage_and_then_follows(make_method: Make, batch: Batch) -> None:
    method = make_method("bcp", decay=0.8)
    optimizer = torch.optim.SGD(method.unet.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        method.losses(batch, "student")["total"].backward()
        optimizer.step()
        method.after_step(1, 10)

    method.before_epoch(0, 8)
    step()
    assert all(map(torch.equal, method.teacher.parameters(), method.unet.parameters()))
    method.before_epoch(2, 8)
    before = [parameter.clone() for parameter in method.teacher.parameters()]
    step()
    for was, student, teacher in zip(before, method.unet.parameters(), method.teacher.parameters(), strict=True):
        torch.testing.assert_close(teacher, 0.8 * was + 0.2 * student)


def test_no_gradient_reaches_the_teacher_and_no_player_owns_it(make_method: Make, batch: Batch) -> None:
    method = make_method("bcp")
    method.losses(batch, "student")["total"].backward()
    assert all(parameter.grad is not None for parameter in method.unet.parameters())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in method.teacher.parameters())
    owned = {id(parameter) for parameters in method.players().values() for parameter in parameters}
    assert owned == {id(parameter) for parameter in method.unet.parameters()}

"""The mean teacher: its loss, its noise, and that the teacher only ever follows."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F
from wiring import assert_one_loss, watch

from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.segmentation.mean_teacher import MeanTeacher
from mcd.slices.batches import Batch

Make = Callable[..., MeanTeacher]


def step(method: MeanTeacher, batch: Batch, number: int, of: int) -> None:
    optimizer = torch.optim.SGD(method.unet.parameters(), lr=0.1)
    method.losses(batch, "student")["total"].backward()
    optimizer.step()
    method.after_step(number, of)


def test_the_total_is_half_the_supervised_loss_and_the_weighted_distance_to_the_teacher(
    make_method: Make, batch: Batch
) -> None:
    method = make_method("mean_teacher", noise=0.0)
    method.progress.fill_(0.5)
    with torch.no_grad():
        for parameter in method.teacher.parameters():
            parameter.add_(0.1)
        student, teacher = method.unet(batch.images), method.teacher(batch.images[3:])
        losses = method.losses(batch, "student")
    assert batch.targets is not None
    supervised = 0.5 * dice_and_cross_entropy(student[:3], batch.targets[:3])
    consistency = ((torch.sigmoid(student[3:]) - torch.sigmoid(teacher)) ** 2).mean()
    assert consistency > 1e-4
    weight = 0.1 * torch.exp(torch.tensor(-5 * 0.5**2))
    torch.testing.assert_close(losses["total"], supervised + weight * consistency)


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.0), (0.033, 0.0), (0.034, 0.1), (1.0, 0.1)])
def test_there_is_no_consistency_before_its_start(
    progress: float, expected: float, make_method: Make, batch: Batch
) -> None:
    method = make_method("mean_teacher")
    method.progress.fill_(progress)
    weight = method.losses(batch, "student")["consistency_weight"]
    torch.testing.assert_close(weight, expected * method.ramp())


def test_the_teacher_starts_as_the_student_and_its_average_is_the_plain_mean_while_young(
    make_method: Make, batch: Batch
) -> None:
    method = make_method("mean_teacher", decay=0.75)
    assert all(map(torch.equal, method.teacher.parameters(), method.unet.parameters()))
    seen: list[torch.Tensor] = []
    for number in range(1, 5):
        step(method, batch, number, 10)
        seen.append(torch.nn.utils.parameters_to_vector(method.unet.parameters()).detach().clone())
        teacher = torch.nn.utils.parameters_to_vector(method.teacher.parameters())
        torch.testing.assert_close(teacher, torch.stack(seen).mean(0))
    step(method, batch, 5, 10)  # now 1 - 1/5 > 0.75
    student = torch.nn.utils.parameters_to_vector(method.unet.parameters())
    expected = 0.75 * torch.stack(seen).mean(0) + 0.25 * student
    torch.testing.assert_close(torch.nn.utils.parameters_to_vector(method.teacher.parameters()), expected)


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_the_ends_of_the_average(decay: float, make_method: Make, batch: Batch) -> None:
    """With 0 the teacher is the student; with 1 it is the mean of all students, and never moves by an old one's own weight."""
    method = make_method("mean_teacher", decay=decay)
    for number in (1, 2):
        before = [parameter.clone() for parameter in method.teacher.parameters()]
        step(method, batch, number, 10)
    share = 1 - min(1 - 1 / 2, decay)
    for was, student, teacher in zip(before, method.unet.parameters(), method.teacher.parameters(), strict=True):
        torch.testing.assert_close(teacher, (1 - share) * was + share * student)


def test_no_gradient_reaches_the_teacher_and_no_player_owns_it(make_method: Make, batch: Batch) -> None:
    method = make_method("mean_teacher")
    method.progress.fill_(1.0)
    method.losses(batch, "student")["total"].backward()
    assert all(parameter.grad is not None for parameter in method.unet.parameters())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in method.teacher.parameters())
    owned = {id(parameter) for parameters in method.players().values() for parameter in parameters}
    assert not owned & {id(parameter) for parameter in method.teacher.parameters()}


def test_only_the_teacher_sees_noise_on_tissue_alone_and_bounded(
    make_method: Make, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = make_method("mean_teacher", noise=0.3, noise_bound=0.4)
    seen: dict[str, torch.Tensor] = {}
    for name in ("unet", "teacher"):
        getattr(method, name).register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    method.losses(batch, "student")
    assert torch.equal(seen["unet"], batch.images)
    noise = (seen["teacher"] - batch.images[3:]) / batch.ranges[3:, :, None, None]  # a share of the volume's range
    assert noise.abs().max() <= 0.4 + 1e-6
    assert (noise[batch.images[3:] == 0] == 0).all()
    tissue = noise[batch.images[3:] != 0]
    bound = torch.tensor(0.4 / 0.3)
    clipped = 2 * (1 - torch.distributions.Normal(0, 1).cdf(bound))
    assert (tissue.abs() > 0.4 - 1e-6).float().mean().item() == pytest.approx(clipped.item(), abs=0.03)
    assert F.mse_loss(noise, torch.zeros_like(noise)) > 0


def test_the_teacher_keeps_batch_statistics_of_its_own(make_method: Make, batch: Batch) -> None:
    method = make_method("mean_teacher").train()
    step(method, batch, 1, 10)
    student, teacher = method.unet.state_dict(), method.teacher.state_dict()
    means = [key for key in student if key.endswith("running_mean")]
    assert not any(torch.equal(student[key], teacher[key]) for key in means)


def test_the_student_learns_from_both_terms_and_from_the_noisy_copies_that_the_teacher_saw(
    make_method: Make, batch: Batch
) -> None:
    """In training, by hand: half of Dice and cross-entropy with labels, the squared distance without."""
    method = make_method("mean_teacher", consistency=0.8, noise=0.3, noise_bound=0.5, start=0.1, ramp=1.0)
    method.train()
    method.progress.fill_(0.5)
    with torch.no_grad():
        for parameter in method.teacher.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    student, teacher = watch(method.unet), watch(method.teacher)
    losses = method.losses(batch, "student")
    (shown,), (noisy,) = list(student), list(teacher)
    assert len(shown) == 5
    assert len(noisy) == 2

    p = torch.sigmoid(method.unet(shown))
    taught = torch.sigmoid(method.teacher(noisy)).detach()
    assert batch.targets is not None
    truth = batch.targets[:3]
    dice = torch.zeros(())
    for region in range(2):
        q, y = p[:3, region], truth[:, region]
        dice = dice + (1 - (2 * (q * y).sum() + 1) / (q.sum() + y.sum() + 1)) / 2
    cross_entropy = -(truth * p[:3].log() + (1 - truth) * (1 - p[:3]).log()).mean()
    consistency = (p[3:] - taught).square().mean()
    weight = 0.8 * math.exp(-5 * 0.5**2)
    expected = 0.5 * (dice + cross_entropy) + weight * consistency
    assert consistency > 1e-3
    assert assert_one_loss(losses["total"], expected, method) == {"unet"}
    assert losses["supervised"].item() == pytest.approx(0.5 * (dice + cross_entropy).item(), rel=1e-4)
    assert losses["consistency"].item() == pytest.approx(consistency.item(), rel=1e-4)

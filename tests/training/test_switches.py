"""How torch computes, as the configuration says."""

import pytest
import torch

from mcd.training.device import numerics, prepare
from mcd.training.schedule import Compute


@pytest.mark.parametrize("chosen", [False, True])
def test_cudnn_chooses_only_where_it_may_and_only_among_what_repeats(
    chosen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not chosen)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    compute = Compute(device="cpu", cudnn_benchmark=chosen)
    prepare(compute)
    assert torch.backends.cudnn.benchmark is chosen
    assert torch.backends.cudnn.deterministic is True
    assert numerics(compute, torch.device("cuda", 0), False)["cudnn_benchmark"] is chosen
    # a state of a CPU is taken up all the same
    assert numerics(compute, torch.device("cpu"), False)["cudnn_benchmark"] is False

"""The optimiser takes the steps of torch's Adam, and leaves torch's compiler where it is."""

import copy
import subprocess
import sys

import torch
from torch import Tensor, nn

from mcd.training.adam import Adam


def descend(kind: type[torch.optim.Adam], steps: int) -> tuple[nn.Module, torch.optim.Adam]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    optimizer = kind(network.parameters(), lr=0.1, betas=(0.5, 0.99), weight_decay=0.01, fused=True)
    for _ in range(steps):
        step(network, optimizer)
    return network, optimizer


def step(network: nn.Module, optimizer: torch.optim.Adam) -> None:
    optimizer.zero_grad(set_to_none=True)
    (network(torch.ones(2, 3)) - 7).square().mean().backward()
    optimizer.step()


def weights(network: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(network.parameters())


def test_its_steps_are_those_of_torch_to_the_last_bit() -> None:
    ours, _ = descend(Adam, steps=20)
    theirs, _ = descend(torch.optim.Adam, steps=20)
    assert torch.equal(weights(ours), weights(theirs))
    assert not torch.equal(weights(ours), weights(descend(Adam, steps=0)[0]))


def test_no_step_is_recorded_for_a_gradient() -> None:
    network, optimizer = descend(Adam, steps=1)
    assert all(value.grad_fn is None for state in optimizer.state.values() for value in state.values())
    assert all(parameter.is_leaf for parameter in network.parameters())


def test_it_goes_on_from_the_state_of_either() -> None:
    ours, optimizer = descend(Adam, steps=5)
    theirs, _ = descend(torch.optim.Adam, steps=5)
    continued = torch.optim.Adam(theirs.parameters(), fused=True)
    continued.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # torch takes the tensors, no copies
    again = Adam(ours.parameters(), fused=True)
    again.load_state_dict(optimizer.state_dict())
    for network, own in ((ours, again), (theirs, continued)):
        step(network, own)
    assert torch.equal(weights(ours), weights(theirs))


def test_a_step_does_not_import_the_compiler() -> None:
    code = (
        "import sys, torch; from mcd.training.adam import Adam; "
        "p = torch.nn.Parameter(torch.ones(2)); a = Adam([p], fused=True); "
        "p.sum().backward(); a.step(); a.zero_grad(); a.load_state_dict(a.state_dict()); assert p[0] < 1; "
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr

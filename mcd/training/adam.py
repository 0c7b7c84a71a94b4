"""The optimiser of every training."""

import inspect

import torch


class Adam(torch.optim.Adam):
    """torch's Adam, without the guards that keep its methods from being compiled; they are not compiled here.

    A guard (`torch._disable_dynamo`) imports torch's compiler at its first call, which takes as long as importing torch, 2 s: a
    tenth of the default run, whose trainings are short and many. The methods are torch's own. Drop this class when a step of
    `torch.optim.Adam` no longer imports `torch._dynamo`.
    """

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


@torch.no_grad()
def last_move(optimizer: Adam) -> float:
    """How far the last step moved the optimiser's weights, relative to their norm: 0 where no gradient reached any of them.

    Computed from the moments that Adam keeps, so that no copy of the weights is needed.
    """
    moved, norm = [], []
    for group in optimizer.param_groups:
        beta, other_beta = group["betas"]
        for weight in group["params"]:
            norm.append(weight.square().sum())
            if weight.grad is None or "step" not in (state := optimizer.state[weight]):
                continue
            mean = state["exp_avg"] / (1 - beta ** state["step"])
            root = (state["exp_avg_sq"] / (1 - other_beta ** state["step"])).sqrt()
            moved.append((group["lr"] * mean / (root + group["eps"])).square().sum())
    return float((torch.stack(moved).sum() / torch.stack(norm).sum()).sqrt()) if moved else 0.0


for _name, _method in vars(torch.optim.Optimizer).items():
    if inspect.isfunction(_method) and hasattr(_method, "__wrapped__"):
        setattr(Adam, _name, inspect.unwrap(_method))

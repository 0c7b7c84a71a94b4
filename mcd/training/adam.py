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


for _name, _method in vars(torch.optim.Optimizer).items():
    if inspect.isfunction(_method) and hasattr(_method, "__wrapped__"):
        setattr(Adam, _name, inspect.unwrap(_method))

"""Which pre-trainings are diagnosed, each with the fine-tunings that started from it."""

from mcd.config import Config
from mcd.methods import METHODS
from mcd.plan.comparison import is_made
from mcd.plan.runs import Pretrained, Run, pretraining_of
from mcd.plan.tables import comparisons


def diagnosed(config: Config) -> dict[Pretrained, list[Run]]:
    """The pre-trainings of Table II and of everything else that `report` names; nothing is trained for a diagnosis.

    The fine-tunings are those at `label_ratios`, of the first draw, by the method that is called as its pre-training; other
    methods that share it (Table VIII) differ in what they transfer.
    """
    found: dict[Pretrained, list[Run]] = {}
    for name, comparison in comparisons(config).items():
        if not is_made(config, name):
            continue
        for run in comparison.runs:
            made = pretraining_of(config, run)
            if made is None:
                continue
            runs = found.setdefault(made, [])
            own = run.method == METHODS[run.method].pretraining and run.draw == 0 and run.ratio in config.label_ratios
            if own and run not in runs:
                runs.append(run)
    return found

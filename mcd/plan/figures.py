"""What the pictures of predictions show."""

from mcd.config import Config
from mcd.methods import METHODS
from mcd.plan.runs import Run, is_first, methods, methods_of_table_2, runs
from mcd.seeding import percent


def shown_runs(config: Config) -> list[Run]:
    """One run per column for the picture: the table's last method at the largest of `label_ratios`; the first training."""
    chosen = [(max(config.label_ratios), _drawn(config)[-1])]
    return [run for run in runs(config, chosen) if is_first(config, run)]


def shown_title(config: Config) -> str:
    """The title of the picture of `shown_runs`."""
    simulated = [cohort.title or name for name, cohort in config.cohorts.items() if cohort.simulate]
    words = f"{METHODS[_drawn(config)[-1]].label}, {percent(max(config.label_ratios))} % of the labels: test patients"
    return words + (f"\n{' and '.join(simulated)}: simulated" if simulated else "")


def compared_runs(config: Config) -> list[Run]:
    """Fig. 2: every method of Table II at the largest of `label_ratios`, in every column; the first training."""
    chosen = [(max(config.label_ratios), method) for method in _drawn(config)]
    return [run for run in runs(config, chosen) if is_first(config, run)]


def compared_title(config: Config) -> str:
    """The title of the picture of `compared_runs`."""
    simulated = [cohort.title or name for name, cohort in config.cohorts.items() if cohort.simulate]
    words = f"Test patients, {percent(max(config.label_ratios))} % of the labels"
    return words + (f"; {' and '.join(simulated)}: simulated" if simulated else "")


def _drawn(config: Config) -> list[str]:
    """The methods of Table II, or those beyond the paper where there are no others."""
    return methods_of_table_2(config) or methods(config)

"""What is shown while the workflow runs (mcd/console.py). Attached here, not as a plugin of Snakemake's that a profile names: so it is
there with every profile and with none, and where the package is not installed.
"""

from snakemake.logging import logger

from mcd.console import take_over

HELD = []  # while the workflow runs: the lock by which `mcd status` knows it


def training_states(name, wildcards, outputs):
    """Where a job keeps the states of its trainings, in their order."""
    if name == "pretrain_pair":
        return [f"{RESUME}/{fix(PRETRAINING_STATE, **wildcards)}"]
    return [f"{RESUME}/{path}" for path in outputs if Path(path).name == Path(MODEL).name]


def own_console():
    """Ours, unless this is no run, or the user has asked for more of Snakemake's own words, or for fewer."""
    asked = workflow.output_settings
    if (
        not workflow.is_main_process
        or asked.dryrun
        or asked.quiet
        or asked.verbose
        or asked.printshellcmds
        or asked.debug_dag
    ):
        return None
    runtimes = {own.name: own.resources["runtime"] for own in workflow.rules if "runtime" in own.resources}
    limits = {name: int(getattr(limit, "value", limit)) for name, limit in runtimes.items()}  # wrapped since some 9.x
    return take_over(logger, limits, Path(), training_states)


CONSOLE = own_console()

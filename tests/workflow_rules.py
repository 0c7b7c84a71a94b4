"""The workflow's rules as Snakemake itself reads them, for every test that asks about rules.

A rule has a name, `snakefile`, `docstring`, `input`, `output`, `params`, `log`, `benchmark`, `conda_env`, `script`, and
`resources`, as Snakemake's own code knows them. They are those of the miniature's configuration; rules do not depend on it,
their wildcards' constraints do.
"""

from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

ROOT = Path(__file__).parents[1]


@cache
def workflow() -> Any:
    """Read once a process, which takes about two seconds; nothing is run."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        return api.workflow(
            resource_settings=ResourceSettings(),
            config_settings=ConfigSettings(configfiles=[ROOT / "configs/smoke.yaml"]),
            snakefile=ROOT / "Snakefile",
        )._workflow


def rules() -> list[Any]:
    return list(workflow().rules)


def file_of(rule: Any) -> Path:
    return Path(str(rule.snakefile))  # a text, or an object where the rule was made by `use rule`


def script_of(rule: Any) -> Path | None:
    """What a rule with `script:` runs."""
    return (file_of(rule).parent / str(rule.script)).resolve() if rule.script else None


def environment_of(rule: Any) -> Path | None:
    """What a rule's `conda:` names."""
    return (file_of(rule).parent / str(rule.conda_env)).resolve() if rule.conda_env else None


def names_in(path: Path) -> set[str]:
    """The rules and functions that a file of rules defines."""
    functions = {value for value in workflow().globals.values() if isinstance(value, FunctionType)}
    return {rule.name for rule in rules() if file_of(rule) == path} | {
        function.__name__ for function in functions if function.__code__.co_filename == str(path)
    }

"""The configuration: what every key means, its default, and what is refused.

Defaults are the paper's values (Sec. V), or our choice where it is silent, so that a file has to say only what differs: at
least its cohorts. The keys are listed in docs/reference/configuration.md; `config.yaml` is the default run.
"""

from mcd.config.configuration import Config
from mcd.config.loading import load_config, read_config, read_yaml

__all__ = ["Config", "load_config", "read_config", "read_yaml"]

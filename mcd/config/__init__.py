"""The configuration: what every key means, its default, and what is refused.

Defaults are the paper's values (Sec. V) or our choice where it is silent, so that a file has to say only what differs: its
cohorts at least. The keys are listed in the documentation's configuration page; `config.yaml` is the embedded default.
"""

from mcd.config.configuration import Config
from mcd.config.loading import load_config, read_config, read_yaml

__all__ = ["Config", "load_config", "read_config", "read_yaml"]

"""From a file, or from what Snakemake read, to a checked configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mcd.config.configuration import Config
from mcd.errors import McdError


def load_config(content: Mapping[str, Any]) -> Config:
    """Check a configuration and fill in the defaults.

    Raises:
        McdError: one line per mistake, with the key's place and, for a misspelt key, the most similar known one.
    """
    return Config.read(content, "configuration")


def read_config(path: str | Path) -> Config:
    """The configuration in a YAML file; `McdError` as in `load_config` and `read_yaml`."""
    return load_config(read_yaml(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The keys and values of a YAML file.

    Raises:
        McdError: if the file is missing or not YAML, or has a key twice, of which other readers silently take the last.
    """
    try:
        content = _load(Path(path))
    except FileNotFoundError:
        raise McdError(f"{path}: no such configuration") from None
    except yaml.YAMLError as error:
        raise McdError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise McdError(f"{path}: has no keys; a configuration needs at least cohorts")
    return content


class _NoDuplicates(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *anchor` may be overridden, which is its use
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                break  # cannot be a key of a dictionary: refused below, with its place
            key = self.construct_object(key_node)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise McdError(f"{key_node.start_mark.name}: line {line}: the key {key} appears twice; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _load(path: Path) -> Any:
    with open(path, encoding="utf-8") as file:  # a file, not its text, so that an error has its name
        return yaml.load(file, Loader=_NoDuplicates)

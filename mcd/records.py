"""What each job of the workflow leaves beside its log: what it was made from, by which settings and which code.

One JSON file per job (docs/reference/formats.md, "Records"); `mcd.trace` follows them from a result to the raw files.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mcd.digests import file_digest
from mcd.errors import McdError
from mcd.files import read_json, write_json
from mcd.version import code_version

FORMAT = "mcd-record/1"
LOGS = "logs"
"""The folder of a run in which logs and records are."""


@dataclass
class Record:
    """One job. Paths are those that the workflow knows: relative to the run's folder, but for raw files.

    Attributes:
        rule: its name.
        version: of the code (`mcd.version.code_version`).
        started, ended: seconds since 1970.
        params: of the rule, in plain types: its part of the configuration.
        inputs: path -> digest when it was read, or "" where the job took none.
        outputs: path -> digest when it was written.
        log: of the job; the record lies beside it.
    """

    rule: str
    version: str
    started: float
    params: dict[str, Any]
    inputs: dict[str, str]
    log: str
    ended: float = 0.0
    outputs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, rule: str, params: Mapping[str, Any], inputs: Iterable[str], log: str, *, digest_inputs: bool = False
    ) -> "Record":
        """The record of a job that starts now."""
        digests = {path: file_digest(path) if digest_inputs else "" for path in inputs}
        plain = json.loads(json.dumps(dict(params), default=str))
        return cls(rule, code_version(), time.time(), plain, digests, log)

    def end(self, outputs: Iterable[str]) -> None:
        """Note down what the job has made, and write the record."""
        self.outputs = {path: file_digest(path) for path in outputs}
        self.ended = time.time()
        write_json(Path(self.log).with_suffix(".json"), {"format": FORMAT, **asdict(self)})


def read_records(run: Path) -> list[Record]:
    """The records of all jobs of a run's folder, the oldest first; what else lies among the logs is passed over."""
    found = []
    for path in sorted((run / LOGS).rglob("*.json")):
        try:
            content = read_json(path)
            if content.pop("format") == FORMAT:
                found.append(Record(**{name: content[name] for name in Record.__dataclass_fields__}))
        except (McdError, AttributeError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda record: record.ended)

"""What every script of the workflow does first: find `mcd`, send its messages to the rule's log, and report errors.

A user's mistake ends the script with one line on the terminal and in the log; any other error leaves its traceback in the
log, to which Snakemake points.
"""

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a rule's environment need not have mcd installed

from mcd.errors import McdError


@contextmanager
def log_to(log: Any) -> Iterator[None]:
    """Run a script's body with logging and stderr in the rule's log file, including those of libraries and subprocesses."""
    stderr = sys.stderr.fileno()
    with open(os.dup(stderr), "w") as terminal, open(log[0], "w") as file:
        os.dup2(file.fileno(), stderr)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
        try:
            yield
        except McdError as error:
            print(f"error: {error}", file=sys.stderr)
            print(f"\nerror: {error}\n", file=terminal)
            sys.exit(1)
        except Exception:
            traceback.print_exc()
            print(f"\nerror: unexpected, see {log[0]}\n", file=terminal)
            sys.exit(1)
        finally:
            os.dup2(terminal.fileno(), stderr)

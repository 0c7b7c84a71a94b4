"""What every script of the workflow does first: find `mcd`, send its messages to the rule's log, report errors, leave a record.

A job that was given GPUs takes free ones here, before torch starts.

As long as a job runs it holds a lock beside its log, since Snakemake removes the log itself: a job that goes on after
Snakemake was killed and the same job begun again never write the same files.

A user's mistake ends the script with one line on the terminal and in the log; any other error leaves its traceback in the
log, to which Snakemake points.
"""

import gc
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a rule's environment need not have mcd installed

from mcd.errors import McdError
from mcd.locks import alone
from mcd.records import Record
from mcd.training.cards import own_cards

# Libraries are made of hundreds of thousands of objects that stay. Python looks among them for garbage hundreds of times while
# they are imported, and once more at the end: up to a quarter of a short job's time (docs/explanation/performance.md).
gc.set_threshold(10_000)


@contextmanager
def log_to(log: Any, *, digest_inputs: bool = False) -> Iterator[None]:
    """Run a script's body with logging and stderr in the rule's log file, including those of libraries and subprocesses.

    What it was made from goes into a record beside the log (`mcd.records`); with `digest_inputs`, what was in them, too.
    """
    job = vars(sys.modules["__main__"])["snakemake"]  # where Snakemake puts it
    stderr = sys.stderr.fileno()
    with open(os.dup(stderr), "w") as terminal, ExitStack() as held:
        held.enter_context(alone(f"{log[0]}.lock", lambda words: print(f"\n{words}\n", file=terminal, flush=True)))
        file = held.enter_context(open(log[0], "w"))
        os.dup2(file.fileno(), stderr)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
        try:
            params = dict(job.params.items())
            if gpus := job.resources.get("gpu", 0):
                held.enter_context(own_cards(gpus, params["compute"]["device"]))
            record = Record.begin(job.rule, params, map(str, job.input), str(log[0]), digest_inputs=digest_inputs)
            yield
            record.end(map(str, job.output))
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
            gc.freeze()

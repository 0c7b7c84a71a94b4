"""`mcd`: single stages of the workflow without Snakemake, for a machine that has none, and a look into its files.

One module a group of commands; each has `add_commands`, which declares them, and loads what a command needs when it runs.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import mcd
from mcd.cli import cohorts, files, predict, training
from mcd.errors import McdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is one line on stderr and exit status 1."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("mcd").setLevel(logging.INFO)  # libraries tell of every font and of every header that they touch
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as the shell calls a program that SIGPIPE ended
    except McdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mcd", description="Multi-ConDoS, stage by stage.")
    parser.add_argument("--version", action="version", version=f"mcd {mcd.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    for group in (training, predict, cohorts, files):
        group.add_commands(command)
    return parser

"""The one exception that is meant for the user, and what it quotes of a library's; how messages name many things."""

import re
from collections.abc import Sequence

FEW = 3  # names in a line
_ITK_PLACE = re.compile(r"^(sitk::|ITK )?ERROR: (\w+\(0x\w+\): )?")


class McdError(Exception):
    """A mistake in the input that the user can correct.

    The message is one line: it names the file or the key, says what is wrong, and what to do. The command line and the
    workflow's scripts print it without a traceback; every other exception is a bug of ours and keeps its traceback.
    """


def first_line(error: Exception) -> str:
    """The line in which most libraries say what is wrong; the error's name, if it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def last_line(error: Exception) -> str:
    """The line in which ITK says what is wrong: where in its sources, and in memory, it noticed comes first."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
    return _ITK_PLACE.sub("", line)


def some(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")

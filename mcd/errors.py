"""The one exception that is meant for the user."""


class McdError(Exception):
    """A mistake in the input that the user can correct.

    The message is one line: it names the file or the key, says what is wrong, and what to do. The command line and the
    workflow's scripts print it without a traceback; every other exception is a bug of ours and keeps its traceback.
    """

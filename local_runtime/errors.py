"""The one error of the runtime that the command line shows to a person instead of a traceback."""


class StartupError(Exception):
    """A part of the runtime cannot start, and the message says why and what to do about it.

    The command line prints the message after `error:` and exits with status 1.
    """

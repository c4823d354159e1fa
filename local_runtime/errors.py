"""Errors that end a process of the runtime in an orderly way."""


class StartupError(Exception):
    """A part of the runtime cannot start, and the message says why and what to do about it.

    The command line prints the message after `error:` and exits with status 1.
    """


class ProcessSpent(Exception):
    """A process has to be replaced: it runs code of the app that nothing else can stop.

    Its supervisor starts it again; what it worked on is handed out anew.
    """

"""Errors that end a process of the runtime in an orderly way."""


class StartupError(Exception):
    """A part of the runtime cannot start, and the message says why and what to do about it.

    The command line prints the message after `error:` and exits with status 1.
    """


class CannotGoOn(StartupError):
    """A part of the runtime cannot go on, and to start it again by itself would hide why.

    Its supervisor does not start it again: it stops everything, and shows the message to a person.
    """


class ProcessSpent(Exception):
    """A process has to be replaced: it runs code of the app that nothing else can stop.

    Its supervisor starts it again; what it worked on is handed out anew.
    """

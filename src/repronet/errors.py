"""The exceptions that a person is meant to read."""


class UserError(Exception):
    """What was wrong, the offending value and what would have been right, in one line; exit code 2."""


class Fault(Exception):
    """What stopped a run that was rightly asked for, in one line: a full disk, a killed process; exit code 1."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGUSR1 came, which the schedulers of clusters send before they kill; the text says how to go on."""

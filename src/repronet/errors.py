"""The one exception that a person is meant to read."""


class UserError(Exception):
    """What was wrong, the offending value and what would have been right, in one line; exit code 2."""

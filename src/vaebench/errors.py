"""The exception for errors that a user can correct."""


class UserError(Exception):
    """Wrong input, missing data or an unusable state. Its text says what was found and what to do.

    The command line prints it without a traceback and exits with status 2.
    """

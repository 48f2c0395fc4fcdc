"""The one exception that means "the user can mend this"."""


class UserError(Exception):
    """Bad input, missing data or a refused state; its text says what was found and what to do.

    The command line prints it without a traceback and exits with status 2.
    """

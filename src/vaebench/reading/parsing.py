"""Turns every failure of a parser into one message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaebench.errors import UserError


@contextmanager
def parsing(path: Path, kind: str, remedy: str) -> Iterator[None]:
    """Parse the bytes of a file in the body of `with`.

    Args:
        path: the file.
        kind: what it should be, such as `a .npz archive`.
        remedy: what to do if it is not. The message ends with it.

    Raises:
        MemoryError: as it is.
        UserError: the body failed otherwise. Its own `UserError` says what was found.
    """
    end = f": {remedy}" if remedy else ""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path} is not {kind} that can be read ({error}){end}") from None
    except MemoryError:  # sizes are checked before, so that the machine is to blame, not the file
        raise
    # Parsers of others raise whatever a damaged file leads them to: ValueError, KeyError, struct's,
    # zlib's, Arrow's and tokenize's errors, RecursionError, OverflowError and more.
    except Exception as error:
        found = str(error).partition("\n")[0].strip() or "it is damaged"
        found = f"{found[:200]} ..." if len(found) > 200 else found
        raise UserError(
            f"{path} is not {kind} that can be read ({type(error).__name__}: {found}){end}"
        ) from None

"""Names an allocation that failed, in words.

Libraries report a failed allocation in ways of their own, most of them as a `RuntimeError`.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from vaebench.errors import UserError

_ASKED = re.compile(r"allocate\s+(\d+(?:\.\d+)?) ?([KMGTPE]i?B)?")
_FACTORS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_SIGNS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "unable to allocate",
    "bad_alloc",
    "cannot allocate memory",
    "could not create a primitive",  # oneDNN, which has no memory for the code that it makes.
)


def shortage(error: BaseException) -> str | None:
    """Says that memory did not suffice, and what was asked for. None if this is another error."""
    text = str(error)
    is_short = (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and any(sign in text.lower() for sign in _SIGNS))
    )
    if not is_short:
        return None
    asked = _ASKED.search(text)
    if asked is None:
        return "there is not enough memory"
    count = float(asked[1]) * _FACTORS[(asked[2] or "")[:1]]
    return f"there is not enough memory: {_shown(count)} more were asked for"


@contextmanager
def named_shortage(what: str, remedy: str) -> Iterator[None]:
    """Say what ran out of memory in this block, and what to do.

    Raises:
        UserError: an allocation failed.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        found = shortage(error)
        if found is None:
            raise
        raise UserError(f"{what}: {found}. {remedy}") from error


def _shown(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"

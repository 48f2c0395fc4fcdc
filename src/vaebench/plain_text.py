"""Texts where they are shown: in Markdown and in a terminal."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that command a terminal, or turn the direction of text, but for ends of lines."""
CONTROL_IN_JSON = re.compile(
    r"(?<!\\)(?:\\\\)*\\(?:u00(?:0[0-8bBe-fE-F]|1[0-9a-fA-F]|7[fF]|[89][0-9a-fA-F])"
    r"|u20(?:0[eEfF]|2[a-eA-E]|6[6-9])|[bf])"
)
"""The same as JSON writes them."""

_SPECIAL = re.compile(r"[\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w)")
"""What Markdown takes as markup wherever it stands; `_` inside a word is only itself."""
_STARTS = re.compile(r"^(\d*)([-+.)]|#+)(?=\s)")
"""What Markdown takes as a list or a heading at the start of a line."""


def escape(text: str) -> str:
    """Text on one line that Markdown shows as it is, in a paragraph as in a cell of a table."""
    line = _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
    return _STARTS.sub(r"\1\\\2", line)


def printable(text: str) -> str:
    r"""Text for a terminal. Control characters are written out, such as `\x1b`."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text.replace("\r", "\\r"))


def on_one_line(text: str) -> str:
    r"""As `printable`. The ends of lines are written out too, so that a name stays on its line."""
    return printable(text).replace("\n", "\\n")


def plural(count: int | str, noun: str) -> str:
    """A number with its noun: `1 seed`, `1 to 3 seeds`."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"

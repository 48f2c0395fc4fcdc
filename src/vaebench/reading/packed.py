"""Records of runs whose history is packed, as in thin copies, where it takes most of the bytes.

A packed history is one text in place of a list of points. Nothing is lost: the file that the record
was first written to is made of it again, to the byte, and that file's digest is what others name.
"""

import base64
import binascii
import json
import zlib

LARGEST = 16 * 1024**2
"""Bytes of a history as it is unpacked."""
_ENTRY = "history"
_MARK = "zlib, base64: "


def pack(record: bytes) -> bytes:
    """A metrics.json with its history packed. One that `unpack` could not give back stays whole."""
    values = json.loads(record)
    if not isinstance(values[_ENTRY], list):
        return record  # It is packed already.
    packed = zlib.compress(json.dumps(values[_ENTRY], separators=(",", ":")).encode(), 9)
    small = _text(values | {_ENTRY: _MARK + base64.b64encode(packed).decode()})
    return small if unpack(small) == record else record


def unpack(content: bytes) -> bytes:
    """The file that a packed record was made of. Any other content stands for itself.

    What is damaged stays as it is too: no record has a text for its history.
    """
    if _MARK.encode() not in content:
        return content
    try:
        values = json.loads(content)
        mark, packed = values[_ENTRY][: len(_MARK)], values[_ENTRY][len(_MARK) :]
        if mark != _MARK:
            return content
        reader = zlib.decompressobj()
        history = reader.decompress(base64.b64decode(packed, validate=True), LARGEST)
        if not reader.eof:
            return content
        return _text(values | {_ENTRY: json.loads(history)})
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error, zlib.error):
        return content


def is_packed(content: bytes) -> bool:
    """Whether this is a packed record."""
    return unpack(content) != content


def _text(values: dict[str, object]) -> bytes:
    """As records are written."""
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()

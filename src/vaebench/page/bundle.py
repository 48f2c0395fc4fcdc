"""Vega, Vega-Lite and vega-embed as one script, which vl-convert brings: no network is needed."""

import base64
from functools import cache

import pyarrow as pa
import vl_convert

NAME = "vaebenchVega"
"""The one global name of the script."""


@cache
def packed_vega() -> str:
    """A script that sets `NAME` to an object with `vegaEmbed`, packed by gzip, in base64.

    The bundle has top-level names of one letter. The page runs it as the body of a function, out of
    which they do not leak.
    """
    script = vl_convert.javascript_bundle(f"window.{NAME}={{vegaEmbed}};")
    # Arrow brings its own zlib, so that the bytes are the same under every build of Python.
    packed = pa.Codec("gzip", compression_level=9).compress(script.encode(), asbytes=True)
    return base64.b64encode(packed).decode()

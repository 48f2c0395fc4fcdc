"""Vega, Vega-Lite and vega-embed as one script, which vl-convert brings: no network is needed."""

from functools import cache

import vl_convert

NAME = "vaebenchVega"
"""The one global name of the script."""


@cache
def vega_script() -> str:
    """A module script that sets `NAME` to an object with `vegaEmbed`.

    The bundle has top-level names of one letter. In a module they do not leak into the page.
    """
    script = vl_convert.javascript_bundle(f"window.{NAME}={{vegaEmbed}};")
    if "</script" in script.lower() or "<!--" in script:
        raise AssertionError("the bundle cannot stand inside a page")
    return script

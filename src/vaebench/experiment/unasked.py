"""Plugins that came with somebody else's results: they are programs, which are not run unasked."""

from pathlib import Path
from typing import Any

from vaebench.errors import UserError
from vaebench.experiment.plugins import loaded_plugins
from vaebench.paths import Layout
from vaebench.yaml_text import read_yaml

LARGEST_CONFIG = 4 * 1024**2
"""Bytes."""
ADD = "add --plugin {file}"
IMPORT = f"{ADD} to `vaebench import` of that folder: tiers in results/ run their plugins"
"""What to do with the file of a plugin, for commands that take `--plugin` and others."""


def check_plugins(layout: Layout, results: Path, remedy: str = ADD) -> None:
    """Check that reading a tier runs nothing unasked.

    The plugins of tiers in `results` run: they were made here, or imported on demand. Those of
    another folder have to be loaded before.

    Args:
        layout: the tier.
        results: the folder of tiers.
        remedy: what a person is to do who trusts a plugin.

    Raises:
        UserError: the config of a tier elsewhere names a plugin that is not loaded.
    """
    is_here = layout.root.resolve().is_relative_to(results.resolve())
    if not is_here and layout.config.is_file():
        if layout.config.stat().st_size > LARGEST_CONFIG:
            raise UserError(f"{layout.config} is refused: it has too many bytes")
        values = read_yaml(layout.config)
        if isinstance(values, dict):
            refuse_unasked_plugins(values, layout.config, remedy)


def refuse_unasked_plugins(values: dict[str, Any], path: Path, remedy: str = ADD) -> None:
    """Check that every plugin that a config names was loaded before, because a person asked for it.

    Raises:
        UserError: one was not. The text names it.
    """
    plugins = values.get("plugins") or []
    if not isinstance(plugins, list):
        raise UserError(f"{path} is refused: plugins: not a list")
    loaded = loaded_plugins()
    for plugin in map(str, plugins):
        there = (path.parent / plugin).resolve()
        if there not in loaded:
            raise UserError(
                f"the tier's config names the plugin {plugin!r}. A plugin is a program, which is "
                "not run unasked. If you have the file and trust it, put it there "
                f"(as {str(there)!r}) and {remedy.format(file=repr(str(there)))}"
            )

"""Options of `vaebench train` for the parameters that objectives and other parts declare.

They depend on the plugins, so they are made when the command line is parsed.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from vaebench.cli.app import parse_list
from vaebench.errors import UserError
from vaebench.experiment.defaults import MLP_DEFAULTS
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.settings import Settings, known_parameters
from vaebench.parameters import Parameter

PLUGIN = "--plugin"
LIKE = "latent_scale"
"""An option of the command that takes a text."""
_GIVEN = "vaebench.parameters"
"""Where the context keeps the values of these options."""


class CommandWithParameters(TyperCommand):
    """A command with an option for each known parameter. It loads the plugins first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `TyperCommand`."""
        load_plugins(plugin_paths(args))
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """See `TyperCommand`."""
        own = super().get_params(ctx)
        taken = {parameter.name for parameter in own}
        if clash := sorted(known_parameters().keys() & taken - Settings.model_fields.keys()):
            raise UserError(
                f"the parameter '{clash[0]}' is named like an option of this command: give it "
                "another name"
            )
        like = next(one for one in own if one.name == LIKE)
        more = [
            _option(like, name, parameter)
            for name, parameter in sorted(known_parameters().items())
            if name not in taken
        ]
        # The last one is `--help`.
        return [*own[:-1], *more, *own[-1:]]


def plugin_paths(arguments: Sequence[str]) -> list[Path]:
    """The values of the option `--plugin` among the arguments of a command."""
    paths = []
    for place, argument in enumerate(arguments):
        if argument == PLUGIN:
            paths += [Path(value) for value in arguments[place + 1 : place + 2]]
        elif argument.startswith(f"{PLUGIN}="):
            paths.append(Path(argument.split("=", 1)[1]))
    return paths


def given_parameters(context: typer.Context) -> dict[str, list[Any]]:
    """The parameters that were given, each with its values."""
    found: dict[str, list[Any]] = context.meta.get(_GIVEN, {})
    return found


def _option(like: Any, name: str, parameter: Parameter) -> Any:
    """An option for a parameter.

    Args:
        like: an option that takes a text. It is copied, since the arguments of an option differ
            between versions of Typer.
        name: the name of the parameter.
        parameter: its declaration.
    """

    def keep(context: Any, _option: Any, text: str | None) -> None:
        if text is not None:
            context.meta.setdefault(_GIVEN, {})[name] = _values(name, text, parameter)

    option = copy(like)
    option.name, option.opts = name, [f"--{name.replace('_', '-')}"]
    if name in MLP_DEFAULTS:
        parameter = replace(parameter, default=MLP_DEFAULTS[name])
    option.help = f"{parameter.description} {parameter.range.capitalize()}; or a list."
    option.callback, option.expose_value = keep, False
    option.rich_help_panel = "Parameters of objectives, likelihoods, posteriors and networks"
    return option


def _values(name: str, text: str, parameter: Parameter) -> list[Any]:
    if parameter.type is str:
        return text.split(",")
    return parse_list(name, text, int if parameter.type is int else float)

"""What `vaebench train` prints at its end: bounds on the test set, and the next command."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any

import typer

from vaebench.cli.parameter_options import given_parameters
from vaebench.cli.say import say
from vaebench.experiment.settings import AxisValue, format_value
from vaebench.likelihoods import data_scales
from vaebench.objectives import OBJECTIVES
from vaebench.paths import CONFIGS, SNAKEFILE
from vaebench.runs.record import RunRecord

NONE = "–"
ENOUGH_SEEDS = 3
MOST_SEEDS_SHOWN = 6
"""With more seeds, a line has their mean alone."""


@dataclass(frozen=True)
class _Group:
    """Runs that differ in their seed only."""

    axes: dict[str, AxisValue]
    """The objective and the values on the other axes. Axes that the runs do not take are absent."""
    records: dict[int, RunRecord]
    """The runs by their seed."""


def show_bounds(records: Sequence[RunRecord], axes: Sequence[str]) -> None:
    """Print a table of the bounds on the test set, in nats.

    It has a line for each objective and value on another axis. From 2 seeds it has a mean with its
    95% interval, and from 2 objectives the difference to the first one, paired by seed.

    Args:
        records: the runs.
        axes: the settings in which they differ, the seed among them.
    """
    # Bounds at different scales of the data are comparable in the units of the data only.
    metric = "elbo_data_units" if data_scales() & set(axes) else "elbo"
    groups = _groups(records, [axis for axis in axes if axis not in ("objective", "seed")])
    seeds = list(dict.fromkeys(record.run.seed for record in records))
    header, lines = _table(groups, seeds, metric)
    say()
    _print_table(f"bound on the test set, nats ({metric} in metrics.json)", header, lines)
    diverged = [record for record in records if record.status == "diverged"]
    if diverged:
        say(f"{len(diverged)} of {len(records)} runs diverged; no mean is taken over them")


def show_next_command(
    context: typer.Context,
    records: Sequence[RunRecord],
    is_valid: Callable[[list[str]], bool],
) -> None:
    """Print a command that leads on from these runs.

    Args:
        context: of the command that trained them.
        records: the runs.
        is_valid: whether the command can train these objectives, which are its first and another.
    """
    out = context.params["out"]
    run = records[0].run
    seeds = list(dict.fromkeys(record.run.seed for record in records))
    objectives = list(dict.fromkeys(record.run.objective for record in records))
    others = [name for name in OBJECTIVES if is_valid([objectives[0], name])]
    length = "epochs" if run.epochs is not None else "steps"
    longer = 2 * int(run.given()[length])
    if context.params["from_"] is not None:
        changed = {
            "from_": out / f"seed~{run.seed}",
            length: longer,
            "out": f"{out}-{longer}-{length}",
        }
    elif any(record.status == "diverged" for record in records):
        rate = run.learning_rate / 10
        changed = {"learning_rate": rate, "out": f"{out}-learning-rate-{rate:g}"}
    elif len(seeds) < ENOUGH_SEEDS:
        new = (seed for seed in count() if seed not in seeds)
        changed = {"seeds": ",".join(map(str, islice(chain(seeds, new), ENOUGH_SEEDS)))}
    elif len(objectives) == 1 and others:
        changed = {"objective": f"{objectives[0]},{others[0]}"}
    elif SNAKEFILE.exists():
        say(f"next: snakemake --cores all --configfile {CONFIGS / 'quick.yaml'}")
        return
    else:
        changed = {length: longer, "out": f"{out}-{longer}-{length}"}
    say(f"next: {_with_options(context, changed)}")


def _groups(records: Sequence[RunRecord], axes: Sequence[str]) -> list[_Group]:
    groups: dict[tuple[object, ...], _Group] = {}
    for record in records:
        given = record.run.given()
        values = {axis: given[axis] for axis in ("objective", *axes) if axis in given}
        group = groups.setdefault(tuple(values.items()), _Group(values, {}))
        group.records[record.run.seed] = record
    return list(groups.values())


def _table(
    groups: Sequence[_Group], seeds: Sequence[int], metric: str
) -> tuple[list[str], list[list[str]]]:
    """The header and the lines of the table."""
    axes = list(dict.fromkeys(axis for group in groups for axis in group.axes))
    shown = seeds if len(seeds) <= MOST_SEEDS_SHOWN else []
    has_mean = len(seeds) > 1
    first = groups[0].axes["objective"]
    has_difference = any(group.axes["objective"] != first for group in groups)
    header = [*axes, *(f"seed {seed}" for seed in shown)]
    header += ["mean", "95% interval"] if has_mean else []
    header += [f"minus {first}"] if has_difference else []
    header += ["95% interval of it"] if has_difference and has_mean else []
    lines = []
    for group in groups:
        line = [format_value(group.axes[axis]) if axis in group.axes else NONE for axis in axes]
        line += [_bound_text(group.records[seed], metric) for seed in shown]
        if has_mean:
            line += _estimate_texts([_bound(group.records[seed], metric) for seed in seeds], "")
        if has_difference:
            texts = _difference_texts(group, _reference(group, groups), seeds, metric)
            line += texts[: 1 + has_mean]
        lines.append(line)
    return header, lines


def _reference(group: _Group, groups: Sequence[_Group]) -> _Group | None:
    """The runs of the first objective that agree with a group on the other axes.

    None for the first objective itself, and if several agree, since they have an axis more.
    """
    first = groups[0].axes["objective"]
    if group.axes["objective"] == first:
        return None
    found = [
        other
        for other in groups
        if other.axes["objective"] == first
        and all(other.axes[axis] == group.axes[axis] for axis in _shared_axes(group, other))
    ]
    return found[0] if len(found) == 1 else None


def _shared_axes(group: _Group, other: _Group) -> set[str]:
    return (group.axes.keys() & other.axes.keys()) - {"objective"}


def _difference_texts(
    group: _Group, reference: _Group | None, seeds: Sequence[int], metric: str
) -> list[str]:
    if reference is None:
        return [NONE, NONE]
    pairs = [
        (_bound(group.records[seed], metric), _bound(reference.records[seed], metric))
        for seed in seeds
    ]
    values = [None if a is None or b is None else a - b for a, b in pairs]
    return _estimate_texts(values, "+")


def _estimate_texts(values: Sequence[float | None], sign: str) -> list[str]:
    """The mean and its interval, as texts. Neither is given if a run has no bound."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return [NONE, NONE]
    if len(known) == 1:
        return [f"{known[0]:{sign}.2f}", NONE]
    # It imports scipy, which is slow, and not needed for one seed.
    from vaebench.results.intervals import estimate

    found = estimate(known)
    return [f"{found.mean:{sign}.2f}", f"{found.low:{sign}.2f} to {found.high:{sign}.2f}"]


def _bound(record: RunRecord, metric: str) -> float | None:
    """The bound of a run. None if it diverged."""
    value: float | None = getattr(record.final.test, metric)
    return value


def _bound_text(record: RunRecord, metric: str) -> str:
    value = _bound(record, metric)
    if record.status == "diverged":
        return f"diverged at step {record.diverged_step}"
    return NONE if value is None else f"{value:.2f}"


def _print_table(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*header, title=title, title_justify="left")
        for line in lines:
            table.add_row(*line)
        Console().print(table)
        return
    from tabulate import tabulate

    say(title)
    say(tabulate(lines, header, tablefmt="plain", disable_numparse=True))


def _with_options(context: typer.Context, changed: dict[str, Any]) -> str:
    """The command of this context with other values of some options."""
    words = ["vaebench", str(context.info_name)]
    own = given_parameters(context)
    for parameter in context.command.get_params(context):
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        is_given = source is not None and source.name == "COMMANDLINE"
        if name not in changed and not is_given:
            continue
        if name in own:
            value: Any = ",".join(format_value(one) for one in own[name])
        else:
            value = changed.get(name, context.params.get(name))
        if isinstance(value, bool):
            words += parameter.opts[:1] if value else parameter.secondary_opts[:1]
        elif isinstance(value, list):
            words += [word for one in value for word in (parameter.opts[0], str(one))]
        else:
            words += [parameter.opts[0], str(value)]
    return shlex.join(words)

"""The command that says whether it is safe to sample from the prior of a trained run."""

from pathlib import Path
from typing import Any

from vaebench.cli.measuring import Request, measuring_command
from vaebench.cli.say import say
from vaebench.errors import UserError
from vaebench.experiment.latent import LatentPlan
from vaebench.experiment.plans import changed
from vaebench.extras import require
from vaebench.progress import log


@measuring_command("latent")
def latent(request: Request) -> None:
    """Say whether it is safe to sample from the prior of a trained run, and if not, what to do.

    It compares the codes of all training images with the prior, and writes latent.json and
    latent.npz into the folder of each run.
    """
    chosen = request.chosen()
    plan = changed(chosen.plan(LatentPlan), request.given)
    if plan.samples:
        is_asked = chosen.tier is not None or "samples" in request.given
        plan = _with_samples(plan, is_asked)
    for record in request.measure(chosen, plan):
        _show(record)
        say(record)


def _with_samples(plan: LatentPlan, is_asked: bool) -> LatentPlan:
    """The plan; without samples where what measures them is not installed, unless they are asked.

    Raises:
        UserError: they are asked for.
    """
    try:
        require("quality")
    except UserError as error:
        if is_asked:
            raise
        log.info(f"samples are not measured: {error}")
        return changed(plan, {"samples": 0})
    return plan


def _show(record: Path) -> None:
    """Print the report of a run, as a table where a person reads it."""
    from rich.console import Console
    from rich.table import Table

    from vaebench.latent.report import report
    from vaebench.runs.latent_record import LatentRecord
    from vaebench.runs.record import read_as

    found: Any = read_as(LatentRecord, record, "").latent
    if found is None:
        say(f"{record.parent}: the run diverged, so that its codes say nothing")
        return
    shown, console = report(found), Console()
    if not console.is_terminal:
        say(str(shown))
        return
    console.print(f"\n[bold]{shown.title}[/bold]")
    for sentence in shown.sentences:
        console.print(sentence, highlight=False, markup=False)
    table = Table("what", "measured", "how to read it", title_justify="left")
    for line in shown.lines:
        table.add_row(line.what, line.value, line.says)
    console.print(table)

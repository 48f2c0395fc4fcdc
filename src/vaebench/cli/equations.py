"""The command that measures the paper's equations on runs, and makes their table."""

from pathlib import Path

from vaebench.cli.measuring import Request, measuring_command
from vaebench.cli.results import PaperValuesOption
from vaebench.cli.say import say
from vaebench.errors import UserError
from vaebench.experiment.equations import EquationsPlan
from vaebench.experiment.plans import changed
from vaebench.experiment.tier import find_layout
from vaebench.paths import PAPER_VALUES


@measuring_command("equations")
def equations(request: Request, paper_values: PaperValuesOption = PAPER_VALUES) -> None:
    """Measure the paper's Equations 4 to 30 on trained networks and on their initial weights.

    It writes equations.json and equations.npz into the folder of each run. With --tier alone, it
    writes the table of what was measured and collected.
    """
    if request.tier is not None and request.experiment is None:
        if request.folders or request.cell or request.runs or request.given:
            raise UserError("give --experiment to measure its runs; the table takes --tier alone")
        _write_table(request.tier, paper_values)
        return
    chosen = request.chosen()
    for record in request.measure(chosen, changed(chosen.plan(EquationsPlan), request.given)):
        say(record)


def _write_table(tier: str, paper_values: Path) -> None:
    from vaebench.reporting.equations import write_equations
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    write_equations(loaded, paper_values)
    say(loaded.layout.equation_table("md"))

"""The command that compares the results of two versions of the code."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from vaebench.cli.app import DEVELOP, app
from vaebench.cli.say import say
from vaebench.errors import UserError

if TYPE_CHECKING:
    from vaebench.attestation.attest import Comparison


@app.command(rich_help_panel=DEVELOP)
def attest(
    against: Annotated[
        str | None,
        typer.Option(help="A commit, branch or tag. Its runs stay current if the record holds."),
    ] = None,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="Repeat the comparison of the newest record.")
    ] = False,
) -> None:
    """Test whether the code computes the same as at another commit, so that its runs stay current.

    It trains a golden set of small runs with the sources of that commit and with those here, and
    compares the results. This takes minutes on two cores. Each part of the code gets a level.
    *bits*: every byte is equal. *rounding*: the results are equal in float64, and as close to that
    in float32 as before. *differs*: the part computes something else. It writes a record of the
    parts that are equal to src/vaebench/attestation/records/. Commit the record with the change.
    The exit status is 1 if a part differs.
    """
    from vaebench.attestation import attest as attestation

    if repeat == (against is not None):
        raise UserError("give either --against REV or --repeat")
    if against is None:
        record, found = attestation.repeat()
        if found is None:
            say(f"commit {record.against[:12]} is not in the history here: not repeated")
        else:
            _show(found)
            say("the newest attestation holds here too")
        return
    found, path = attestation.attest(against)
    _show(found)
    say(f"recorded: {path}" if path else "no part was changed: nothing to record")
    if not found.holds:
        raise typer.Exit(1)


def _show(found: "Comparison") -> None:
    """A line for each part, and for each case that was left out."""
    for name, outcome in found.parts.items():
        difference = f", largest difference {outcome.difference:.2g}" if outcome.difference else ""
        where = f" ({outcome.where})" if outcome.where else ""
        say(f"{outcome.verdict:10} {name}{difference}{where}")
    left_out = [one.where for one in found.cases.values() if one.verdict == "not compared"]
    say(f"{len(found.cases) - len(left_out)} of {len(found.cases)} cases were compared")
    for reason, count in Counter(left_out).items():
        say(f"  {count} left out: {reason}")
    if found.added:
        say(
            f"not compared, since only the sources here record them: {len(found.added)} numbers a "
            f"run ({', '.join(found.added)})"
        )

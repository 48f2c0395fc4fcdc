"""The command that measures the evidence log p(x) of trained runs."""

from vaebench.cli.measuring import Request, measuring_command
from vaebench.cli.say import say
from vaebench.experiment.evidence import EvidencePlan
from vaebench.experiment.plans import changed


@measuring_command("evidence")
def evidence(request: Request) -> None:
    """Measure the log evidence log p(x) of trained runs, and its gap to the bound.

    It needs the weights of the runs. With one or two latent dimensions the value is exact, from a
    grid. With more it is estimated by annealed importance sampling. It writes evidence.json and
    evidence.npz into the folder of each run. A measurement that was stopped continues from its
    finished blocks.
    """
    chosen = request.chosen()
    for record in request.measure(chosen, changed(chosen.plan(EvidencePlan), request.given)):
        say(record)

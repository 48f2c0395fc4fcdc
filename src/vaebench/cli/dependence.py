"""The command that measures what of trained runs depends on the input."""

from vaebench.cli.measuring import Request, measuring_command
from vaebench.cli.say import say
from vaebench.experiment.dependence import DependencePlan
from vaebench.experiment.plans import changed


@measuring_command("dependence")
def dependence(request: Request) -> None:
    """Measure what of trained runs depends on the input, from their weights.

    That is: how much means and standard deviations of codes vary over images and what that is
    worth; and log p(x), or log p(y|x) of hidden pixels, by draws of the encoder and by draws of the
    prior. It writes dependence.json and dependence.npz into the folder of each run.
    """
    chosen = request.chosen()
    for record in request.measure(chosen, changed(chosen.plan(DependencePlan), request.given)):
        say(record)

"""The code that decides a result, in parts, and which other code is known to compute the same.

A run depends on four parts: the core, its network, its objective and its likelihood. What is
measured on samples depends on a fifth, `quality`, and the evidence on `evidence/`. Adding an
objective, a likelihood or a network changes no part of another run.

**An edit in `numerics/`, `core/`, `evaluation/` or `training/` changes the core, and so needs an
attestation**, see `attestations`. Without one, every run has to be trained again.

A part is written as lines of a name and a digest, as they enter the digest of a run's sources.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import product

from vaebench.experiment.settings import Settings
from vaebench.files import digest_bytes
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.runs.attestations import Level, Lines, equivalents, oldest, weakest
from vaebench.runs.canonical import (
    PACKAGE,
    function_digest,
    label,
    module_digest,
    modules_digest,
)

CORE_FOLDERS = ("numerics", "core", "evaluation", "training")
"""Folders whose every module decides what the numbers of all runs are."""
QUALITY = (
    "quality/classifier.py",
    "quality/measures.py",
    "quality/samples.py",
    "numerics/adam.py",
    "numerics/streams.py",
)
"""Modules that decide what is measured on samples. The networks that are measured are in the hashes
of their runs."""
QUALITY_OF_COLOUR = "quality/colour.py"
"""What decides it beside them for colour images."""
EVIDENCE_STREAMS = "numerics/streams.py"
"""What decides the evidence beside `evidence/` and the sources of a run."""
NOT_MEASURING = ("__init__.py", "measure.py", "kept.py", "verdict.py", "report.py")
"""Modules of `evidence/`, `equations/`, `latent/` and `dependence/` that find and write files, or
read results."""
EVIDENCE_OF_EQUATIONS = (
    *("ais.py", "decoder.py", "density.py", "gaussians.py", "grid.py", "importance.py"),
    *("laplace.py", "local.py", "pairs.py", "refine.py"),
)
"""Modules of `evidence/` that decide the equations' statistics."""
USED_BY_LATENT = (
    *("evidence/density.py", "evidence/gaussians.py", "evidence/grid.py", "evidence/pairs.py"),
    *("evidence/local.py", "evidence/decoder.py"),
)
"""Modules of other folders that decide what is measured of the aggregated posterior."""
EVIDENCE_OF_DEPENDENCE = ("density.py", "gaussians.py", "importance.py")
"""The same for what depends on the input."""


@dataclass(frozen=True)
class Basis:
    """Why results of other sources count as current."""

    level: Level | None
    """The level of the attestation; None where the sources are this checkout's own."""


def source_digest(run: Settings) -> str:
    """The digest of all code that decides the result of a run with these settings.

    Raises:
        OSError: a source file cannot be read.
    """
    return _digest(parts(run.network, run.objective, run.likelihood).values())


def parts(network: str, objective: str, likelihood: str) -> dict[str, Lines]:
    """The parts of this checkout's code that decide a run, by name."""
    return {
        "core": core(),
        f"network {network}": network_part(network),
        f"objective {objective}": objective_part(objective),
        f"likelihood {likelihood}": likelihood_part(likelihood),
    }


def core() -> Lines:
    """The part that all runs share: every module in `CORE_FOLDERS`."""
    return tuple(sorted(f"{label(m)} {module_digest(PACKAGE / m)}" for m in core_modules()))


def core_modules() -> list[str]:
    """The modules of the core, as paths below the package."""
    return [
        path.relative_to(PACKAGE).as_posix()
        for folder in CORE_FOLDERS
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if path.name != "__init__.py"
    ]


def network_part(name: str) -> Lines:
    """The module of a network; the class of a plugin's network."""
    if (net := NETWORKS[name].net) is not None:
        return (f"network {function_digest(net)}",)
    return (f"network {module_digest(PACKAGE / 'models' / f'{name}.py')}",)


def objective_part(name: str) -> Lines:
    """The function of an objective, and what it uses from its module."""
    return (f"objective {function_digest(OBJECTIVES[name].bound)}",)


def likelihood_part(name: str) -> Lines:
    """The function of a likelihood, and what it uses from its module."""
    return (f"likelihood {function_digest(LIKELIHOODS[name].function)}",)


def quality_digest(in_colour: bool = False) -> str:
    """The digest of the code that measures sample quality, of grey images or of those in colour."""
    return modules_digest(*QUALITY, *([QUALITY_OF_COLOUR] if in_colour else []))


def evidence_digest() -> str:
    """The digest of the code that measures the evidence, but for the networks of runs."""
    return modules_digest(*_modules_of("evidence"), EVIDENCE_STREAMS)


def equations_digest() -> str:
    """The digest of the code that measures the equations, but for the networks of runs."""
    used = [f"evidence/{name}" for name in EVIDENCE_OF_EQUATIONS]
    return modules_digest(*_modules_of("equations"), *used, EVIDENCE_STREAMS)


def latent_digest() -> str:
    """The digest of the code that measures the aggregated posterior, but for networks of runs."""
    return modules_digest(*_modules_of("latent"), *USED_BY_LATENT, *QUALITY)


def dependence_digest() -> str:
    """The digest of the code that measures what depends on the input, but for networks of runs."""
    used = [f"evidence/{name}" for name in EVIDENCE_OF_DEPENDENCE]
    return modules_digest(*_modules_of("dependence"), *used, EVIDENCE_STREAMS)


def accepted_sources(run: Settings) -> dict[str, Basis]:
    """The digests of sources whose runs count as this checkout's own, each with its basis.

    The first is this checkout's own.

    Raises:
        UserError: an attestation was changed after it was made.
    """
    return _accepted(tuple(parts(run.network, run.objective, run.likelihood).items()))


def lasting_source_digest(run: Settings) -> str:
    """As `source_digest`, but the same for all sources that are attested to compute the same."""
    return _lasting(tuple(parts(run.network, run.objective, run.likelihood).items()))


def lasting_quality_digest() -> str:
    """As `quality_digest`, but the same for all code that is attested to compute the same."""
    return _digest([oldest("quality", (quality_digest(),))])


@cache
def _accepted(current: tuple[tuple[str, Lines], ...]) -> dict[str, Basis]:
    classes = [equivalents(name, lines) for name, lines in current]
    accepted: dict[str, Basis] = {}
    for chosen in product(*(each.items() for each in classes)):
        digest = _digest(lines for lines, _ in chosen)
        accepted.setdefault(digest, Basis(weakest(level for _, level in chosen)))
    return accepted


def accepted_quality() -> dict[str, Basis]:
    """As `accepted_sources`, for the code that measures sample quality.

    What only colour images are measured with has no attestations.
    """
    grey = equivalents("quality", (quality_digest(),)).items()
    return {lines[0]: Basis(level) for lines, level in grey} | {
        quality_digest(in_colour=True): Basis(None)
    }


@cache
def _lasting(current: tuple[tuple[str, Lines], ...]) -> str:
    return _digest(oldest(name, lines) for name, lines in current)


def _modules_of(folder: str) -> list[str]:
    """The modules of a folder that decide what is measured."""
    files = sorted(path.name for path in (PACKAGE / folder).glob("*.py"))
    return [f"{folder}/{name}" for name in files if name not in NOT_MEASURING]


def _digest(lines_of_parts: Iterable[Lines]) -> str:
    lines = [line for part in lines_of_parts for line in part]
    return digest_bytes("\n".join(lines).encode())

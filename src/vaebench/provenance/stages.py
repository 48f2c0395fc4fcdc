"""Digests of the code behind each kind of result that is made from collected runs."""

from collections.abc import Iterable

from vaebench.experiment.figures import FIGURES
from vaebench.files import digest_bytes, digest_file
from vaebench.paths import SPECTRA
from vaebench.runs.canonical import PACKAGE, function_digest, modules_digest
from vaebench.runs.measures import MEASURES
from vaebench.runs.sources import quality_digest

READING = (
    *("results/intervals.py", "results/ratio.py", "results/read.py", "results/equations.py"),
    *("results/latent.py", "results/ranking.py", "results/multiplicity.py"),
    *("experiment/needs.py", "experiment/equations.py"),
)
"""What every figure, table and claim chooses, reads and averages runs with."""
COMPARING = ("experiment/comparison.py", "results/compare.py")
"""What tables and pages compare runs with a baseline with."""


def code_digests(figures: Iterable[str]) -> dict[str, str]:
    """The digest of the code behind each kind of result.

    Args:
        figures: the names of the tier's figures.
    """
    return {
        "collect": collect_digest(),
        "quality": quality_digest(),
        **{name: measure.digest() for name, measure in MEASURES.items()},
        "tables": table_digest(),
        "claims": claims_digest(),
        "report": report_digest(),
        **{name: figure_digest(name) for name in figures},
    }


def figure_digest(name: str) -> str:
    """The digest of the code that draws a figure: its module and all that figures share."""
    folder = PACKAGE / "figures"
    shared = sorted(path.name for path in folder.glob("*.py") if path.stem not in FIGURES)
    own = FIGURES[name].draw
    if own is not None:
        rest = modules_digest(*(f"figures/{file}" for file in shared), *READING)
        return digest_bytes(f"{function_digest(own)}{rest}".encode())
    return modules_digest(*(f"figures/{file}" for file in [f"{name}.py", *shared]), *READING)


def collect_digest() -> str:
    """The digest of the code that collects."""
    return modules_digest(
        "results/collect.py",
        "results/measured.py",
        "results/equations.py",
        "results/latent.py",
        "runs/record.py",
        "runs/measurement.py",
        "runs/measures.py",
        "runs/evidence_record.py",
        "runs/equations_record.py",
        "runs/latent_record.py",
        "results/dependence.py",
        "runs/dependence_record.py",
    )


def table_digest() -> str:
    """The digest of the code that makes tables."""
    own = (
        *("reporting/tables.py", "reporting/equations.py", "reporting/text.py"),
        *("claims/paper.py", "claims/judge.py"),
    )
    return modules_digest(*own, *COMPARING, *READING)


def claims_digest() -> str:
    """The digest of the code that judges claims, and of the spectra that it reads."""
    files = sorted(path.name for path in (PACKAGE / "claims").glob("*.py"))
    code = modules_digest(*(f"claims/{name}" for name in files), *READING)
    return digest_bytes(f"{code}{digest_file(SPECTRA)}".encode())


def report_digest() -> str:
    """The digest of the code that makes the page, and of its template, style and script."""
    page = PACKAGE / "page"
    files = sorted(
        path for path in page.rglob("*") if path.suffix in (".py", ".html", ".css", ".js")
    )
    return modules_digest(
        *COMPARING,
        *READING,
        *(path.relative_to(PACKAGE).as_posix() for path in files),
        "claims/ledger_text.py",
        "provenance/figure_metadata.py",
        "provenance/trace.py",
        "reporting/answers.py",
        "reporting/content.py",
        "reporting/numbers.py",
        "reporting/text.py",
    )

"""Makes what follows from the records of a tier's runs again, as the workflow's rules do."""

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from vaebench.claims.write import write_ledger
from vaebench.errors import UserError
from vaebench.experiment.tier import Tier, load_tier
from vaebench.extras import require
from vaebench.files import digest_file, write_atomically
from vaebench.paths import CLAIM_FORMATS, TABLE_FORMATS, Layout
from vaebench.provenance.manifest import read_manifest
from vaebench.provenance.stages import code_digests
from vaebench.reporting.equations import write_equations
from vaebench.reporting.tables import write_tables
from vaebench.results.collect import collect
from vaebench.results.read import Results, load_results
from vaebench.runs.record import SetMetrics, read_record
from vaebench.verification.same import file_difference

FROM_RUNS = ("runs", "classifiers", "figures")
"""The folders of a tier from which the rest is made."""
MADE_BY_CHECKOUT = ("attested",)
"""Columns of the collected table that say how a checkout sees a run, and not what the run gave."""


def remade_differences(layout: Layout, paper_values: Path) -> tuple[list[str], list[str]]:
    """Make the collected tables, tables, claims and page of a tier again, and compare them.

    Args:
        layout: a tier whose files have the digests of its manifest.
        paper_values: the path of config/paper_values.yaml.

    Returns:
        What differs, a line each; and what cannot be told, since other code than this checkout's
        made it.
    """
    tier, manifest = load_tier(layout.config), read_manifest(layout)
    current = code_digests(tier.figures)
    other = {kind for kind, digest in current.items() if manifest.code.get(kind) != digest}
    if manifest.paper_values != digest_file(paper_values):
        other |= {"tables", "claims"}
    if "claims" in other:
        other.add("report")  # the page shows them
    problems: list[str] = []
    unproven: list[str] = []
    with _scratch(layout) as made:
        results, reason = _collected(tier, layout, made)
        if reason is None:
            compared = {"collect": [made.runs, made.history, made.equation_values]}
        else:
            compared = {}
            unproven.append(
                f"{layout.runs}: not collected again, only its bounds are compared with the "
                f"records ({reason})"
            )
            problems += _other_bounds(layout, results.runs)
        try:
            compared |= _made(tier, made, results, paper_values)
        except Exception as error:
            if reason is None:
                raise
            # Of a table that was not collected again, anything may be wrong.
            said = f"{type(error).__name__}: {error}"
            return [f"{layout.runs}: tables and claims cannot be made from it ({said})"], unproven
        for kind, paths in compared.items():
            remedy = _remedy(layout, kind in other)
            for path in filter(Path.exists, paths):
                there = layout.root / path.relative_to(made.root)
                difference = file_difference(there, path, kind not in other)
                if difference is not None:
                    lines = unproven if kind in other else problems
                    lines.append(f"{there}: {difference}; {remedy}")
        if "report" not in compared:
            unproven.append(f"{layout.report}: not made again: pip install 'vaebench[figures]'")
    return problems, unproven


@contextmanager
def _scratch(layout: Layout) -> Iterator[Layout]:
    """A folder with the config and the runs of a tier, for all that is made again."""
    with tempfile.TemporaryDirectory(prefix="vaebench-verify-") as folder:
        # With the same parents as the tier, since paths in its config are relative to it.
        made = Layout(Path(folder) / "tier")
        made.root.mkdir()
        for name in FROM_RUNS:
            if (layout.root / name).exists():
                (made.root / name).symlink_to((layout.root / name).absolute())
        yield made


def _collected(tier: Tier, layout: Layout, made: Layout) -> tuple[Results, str | None]:
    """The results of a tier, collected again if they can be; and why not, if they cannot."""
    found = load_results(layout.root)
    try:
        collect(tier, made, finished_only=True)
    except UserError as error:
        reasons = [line.strip() for line in str(error).splitlines()]
        reason = reasons[min(1, len(reasons) - 1)].replace(str(made.root), str(layout.root))
        for name in ("runs.parquet", "history.parquet", "equations.parquet"):
            if (layout.root / name).exists():
                write_atomically(made.root / name, (layout.root / name).read_bytes())
        return Results(made, tier, found.runs, found.history), reason
    runs, history = pd.read_parquet(made.runs), pd.read_parquet(made.history)
    if set(MADE_BY_CHECKOUT) <= set(found.runs) and len(found.runs) == len(runs):
        runs = runs.assign(**{name: found.runs[name].array for name in MADE_BY_CHECKOUT})
        runs.to_parquet(made.runs, index=False)
    return Results(made, tier, runs, history), None


def _made(tier: Tier, made: Layout, results: Results, paper_values: Path) -> dict[str, list[Path]]:
    """Make tables, claims and page; returns the files of each kind."""
    for experiment in tier.experiments:
        write_tables(results, experiment.name, paper_values)
    tables = [
        made.table(e.name, extension) for e in tier.experiments for extension in TABLE_FORMATS
    ]
    if any(experiment.equations_plan is not None for experiment in tier.experiments):
        write_equations(results, paper_values)
        tables += map(made.equation_table, TABLE_FORMATS)
    write_ledger(results, paper_values)
    found = {"tables": tables, "claims": [made.claims(extension) for extension in CLAIM_FORMATS]}
    try:
        require("figures")
    except UserError:
        return found
    # It imports what the base installation lacks.
    importlib.import_module("vaebench.page.assemble").write_page(results)
    return found | {"report": [made.report, *sorted(made.codes.rglob("*.js"))]}


def _other_bounds(layout: Layout, rows: pd.DataFrame) -> Iterator[str]:
    """Compare the metrics in the collected table with the records, without its other columns."""
    for _, row in rows.iterrows():
        path = layout.run(str(row["experiment"]), str(row["folder"])) / "metrics.json"
        record = read_record(path)
        for part, metrics in (("test", record.final.test), ("train", record.final.train)):
            for name in SetMetrics.model_fields:
                value, column = getattr(metrics, name), f"{part}_{name}"
                there: Any = row.get(column)
                same = bool(pd.isna(there)) if value is None else there == value
                if not same:
                    yield f"{layout.runs}: {column} of {path.parent} is {there}, and not {value}"


def _remedy(layout: Layout, is_of_other_code: bool) -> str:
    again = f"remove it, and `snakemake --cores all --configfile {layout.config}` makes it again"
    if is_of_other_code:
        return f"other code than this checkout's made it: check out its commit, or {again}"
    return again

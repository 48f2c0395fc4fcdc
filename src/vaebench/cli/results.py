"""Commands that fetch data, and that make tables and figures from runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vaebench.cli.app import DataOption, TierOption, app
from vaebench.config import Tier, dump_tier, find_tier, load_tier
from vaebench.data import DATASETS
from vaebench.errors import UserError
from vaebench.figures import FIGURES
from vaebench.files import write_atomically
from vaebench.layout import DATA, RESULTS, Layout

ResultsOption = Annotated[Path, typer.Option(help="A tier's folder, such as results/smoke.")]

PaperValuesOption = Annotated[Path, typer.Option(help="The paper's numbers and claims.")]


@app.command()
def data(
    names: Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(DATASETS)}.")],
    mirror: Annotated[
        list[str] | None,
        typer.Option(help="Folder or URL that holds NAME/FILE, tried before the official hosts."),
    ] = None,
    root: DataOption = DATA,
) -> None:
    """Fetch, verify and prepare datasets.

    Sources in order: a verified copy already in ROOT/raw, the folder or URL that VAEBENCH_MIRROR
    names, --mirror, the official hosts.
    """
    from vaebench.data.prepared import prepare

    for name in names:
        if name not in DATASETS:
            raise UserError(f"there is no dataset '{name}'; there are: {', '.join(DATASETS)}")
        typer.echo(prepare(name, root, mirror or []))


@app.command()
def config(
    tier: TierOption,
    out: Annotated[Path | None, typer.Option(help="A file to write instead.")] = None,
) -> None:
    """Check a tier's config and print it as resolved, every default written out."""
    text = dump_tier(load_tier(find_tier(tier)))
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())


@app.command()
def schema() -> None:
    """Print the JSON schema of a tier's config, for editors; config/schema.json is its copy."""
    typer.echo(json.dumps(Tier.model_json_schema(), indent=2))


@app.command()
def collect(tier: TierOption) -> None:
    """Check every run of a tier against settings, sources and data, and collect them in a table."""
    from vaebench.collect import collect as collect_runs

    loaded = load_tier(find_tier(tier))
    layout = Layout.of(loaded.tier)
    if not layout.config.exists() or load_tier(layout.config) != loaded:
        write_atomically(layout.config, dump_tier(loaded).encode())
    collect_runs(loaded, layout)
    typer.echo(layout.runs)


@app.command()
def draw(
    names: Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(FIGURES)}.")],
    results: ResultsOption,
) -> None:
    """Draw figures from a tier's collected runs."""
    from vaebench.figures.draw import draw_figure
    from vaebench.results import load_results

    loaded = load_results(results)
    for name in names:
        draw_figure(loaded, name)
        typer.echo(loaded.layout.figure(name, "png"))


@app.command()
def table(
    names: Annotated[list[str], typer.Argument(help="Experiments of the tier.")],
    results: ResultsOption,
    paper_values: PaperValuesOption = Path("config/paper_values.yaml"),
) -> None:
    """Write the tables of experiments from a tier's collected runs."""
    from vaebench.results import load_results
    from vaebench.tables import write_tables

    loaded = load_results(results)
    for name in names:
        write_tables(loaded, name, paper_values)
        typer.echo(loaded.layout.table(name, "md"))


@app.command()
def claims(
    results: ResultsOption,
    paper_values: PaperValuesOption = Path("config/paper_values.yaml"),
) -> None:
    """Judge every number and claim of the paper by a tier's runs."""
    from vaebench.claims.ledger import write_ledger
    from vaebench.results import load_results

    loaded = load_results(results)
    for line in write_ledger(loaded, paper_values):
        typer.echo(f"{line.verdict:13} {line.id}: {line.says}")
    typer.echo(loaded.layout.claims("md"))


@app.command()
def manifest(results: ResultsOption) -> None:
    """Write down the digest of every file that a tier made; the workflow does it last."""
    from vaebench.manifest import write_manifest

    typer.echo(write_manifest(Layout(results)))


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A tier's folder, or one that holds several.")] = (
        RESULTS
    ),
    weights: Annotated[
        bool, typer.Option("--weights", help="Weights that are not here are a problem.")
    ] = False,
) -> None:
    """Check every file of a tier, offline, and the chain of digests from settings to figures.

    Names each file that was changed, is missing or does not belong; exit status 1 if there is one.
    Weights that are not here are counted, and sources other than this checkout's are reported.
    """
    from vaebench.verify import find_tiers
    from vaebench.verify import verify as verify_tier

    whole = True
    for layout in find_tiers(path):
        found = verify_tier(layout, weights)
        for problem in found.problems:
            typer.echo(problem)
        if found.other_sources:
            typer.echo(
                f"{layout.root}: {len(found.other_sources)} of {found.runs} runs were made by "
                "other sources than this checkout's"
            )
        missing = f", {found.weights_missing} of {found.runs} weights not here"
        state = f"{len(found.problems)} problems" if found.problems else "whole"
        typer.echo(
            f"{layout.root}: {state}; {found.files} files, {found.runs} runs"
            f"{missing if found.weights_missing else ''}; "
            f"manifest {found.manifest_digest}"
        )
        whole = whole and not found.problems
    if not whole:
        raise typer.Exit(1)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="A file below results/, such as a figure.")],
) -> None:
    """Say where a figure, table or run comes from: runs, weights, code, data, commit and device."""
    from vaebench.explain import explain as explain_file

    typer.echo(explain_file(file))


@app.command()
def report(
    results: ResultsOption,
) -> None:
    """Write the page that shows a tier's figures and tables."""
    from vaebench.report import write_report
    from vaebench.results import load_results

    typer.echo(write_report(load_results(results)))

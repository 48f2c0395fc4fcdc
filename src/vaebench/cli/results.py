"""Commands that fetch data, and that make tables and figures from runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vaebench.cli.app import DataOption, TierOption, app
from vaebench.data.described import dataset_of
from vaebench.data.registry import DATASETS, check_known
from vaebench.experiment.figures import FIGURES
from vaebench.experiment.tier import Tier, dump_tier, find_layout, find_tier, load_tier
from vaebench.extras import require
from vaebench.files import write_atomically
from vaebench.paths import DATA, PAPER_VALUES, PUBLISHED, Layout

CONTROLS = "controls"
QUESTIONS = "questions"
"""The tier whose page `pages` writes beside that of the published one."""
PaperValuesOption = Annotated[Path, typer.Option(help="The paper's numbers and claims.")]


@app.command()
def data(
    names: Annotated[
        list[str],
        typer.Argument(
            help=f"Any of: {', '.join(DATASETS)}; a .npz file; a folder of images; or, with "
            "--tier, a name of its config."
        ),
    ],
    mirror: Annotated[
        list[str] | None,
        typer.Option(help="Folder or URL that holds NAME/FILE, tried before the official hosts."),
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="The tier whose config describes datasets, or its path.")
    ] = None,
    root: DataOption = DATA,
    check: Annotated[
        bool, typer.Option("--check", help="Check every byte of what is prepared, and do no more.")
    ] = False,
) -> None:
    """Fetch, verify and prepare datasets.

    Sources in order: a verified copy already in ROOT/raw, the folder or URL that VAEBENCH_MIRROR
    names, --mirror, the official hosts. CelebA has no host that a program may fetch it from: put
    its files into ROOT/raw/celeba, or into celeba/ of a mirror. A preparation that is interrupted
    goes on where it stood.
    """
    from vaebench.data.prepared import load, manifest_path, prepare

    if tier is not None:
        load_tier(find_tier(tier))
    for name in map(dataset_of, names):
        check_known(name)
        if check:
            load(root / "prepared", name, every_byte=True)
            typer.echo(
                f"{manifest_path(root / 'prepared', name)}: every byte is as it was prepared"
            )
        else:
            typer.echo(prepare(name, root, mirror or []))


@app.command()
def config(
    tier: TierOption,
    out: Annotated[Path | None, typer.Option(help="A file to write instead.")] = None,
) -> None:
    """Check a tier's config and print it as resolved, every default written out."""
    from vaebench.workflow.rules import check_claims

    path = find_tier(tier)
    loaded = load_tier(path)
    check_claims(loaded)
    # Printed, its paths are as in the config, relative to the same folder.
    text = dump_tier(loaded, (out or path).parent)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())


@app.command()
def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference of all keys instead.")
    ] = False,
) -> None:
    """Print the JSON schema of a tier's config, for editors.

    config/schema.json is its copy, and docs/config.md that of the reference.
    """
    from vaebench.reporting.config_reference import config_reference

    text = config_reference() if markdown else json.dumps(Tier.model_json_schema(), indent=2) + "\n"
    typer.echo(text, nl=False)


@app.command()
def collect(
    tier: TierOption,
    finished_only: Annotated[
        bool, typer.Option("--finished-only", help="Leave out runs that are not trained.")
    ] = False,
) -> None:
    """Check every run of a tier against settings, sources and data, and collect them in a table."""
    from vaebench.results.collect import collect as collect_runs

    loaded = load_tier(find_tier(tier))
    layout = Layout.of(loaded.tier)
    text = dump_tier(loaded, layout.root)
    if not layout.config.exists() or layout.config.read_text() != text:
        write_atomically(layout.config, text.encode())
    collect_runs(loaded, layout, finished_only)
    typer.echo(layout.runs)


@app.command()
def draw(
    names: Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(FIGURES)}.")],
    tier: TierOption,
) -> None:
    """Draw figures from a tier's collected runs."""
    require("figures")
    from vaebench.figures.draw import draw_figure
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    for name in names:
        draw_figure(loaded, name)
        typer.echo(loaded.layout.figure(name, "png"))


@app.command()
def table(
    names: Annotated[list[str], typer.Argument(help="Experiments of the tier.")],
    tier: TierOption,
    paper_values: PaperValuesOption = PAPER_VALUES,
) -> None:
    """Write the tables of experiments from a tier's collected runs."""
    from vaebench.reporting.tables import write_tables
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    for name in names:
        write_tables(loaded, name, paper_values)
        typer.echo(loaded.layout.table(name, "md"))


@app.command()
def claims(
    tier: TierOption,
    paper_values: PaperValuesOption = PAPER_VALUES,
) -> None:
    """Judge the claims of the paper that a tier bears on, and those of its config, by its runs."""
    from vaebench.claims.ledger import others_text, parts_of
    from vaebench.claims.write import write_ledger
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    of_paper, own, others = parts_of(write_ledger(loaded, paper_values))
    for line in [*own, *of_paper]:
        typer.echo(f"{line.verdict:13} {line.id}: {line.says}")
    if others:
        typer.echo(others_text(others))
    typer.echo(loaded.layout.claims("md"))


@app.command()
def report(
    tier: TierOption,
    make: Annotated[
        bool,
        typer.Option(
            "--make",
            help="First collect the runs that are trained, and make figures, tables and claims of "
            "them, as Snakemake would.",
        ),
    ] = False,
    paper_values: PaperValuesOption = PAPER_VALUES,
) -> None:
    """Write the page that shows a tier's figures, claims and tables."""
    from vaebench.reporting.page import write_report
    from vaebench.results.read import load_results

    if make:
        require("figures")
        config = load_tier(find_tier(tier))
        collect(tier, finished_only=True)
        draw(config.figures, tier)
        table([experiment.name for experiment in config.experiments], tier, paper_values)
        claims(tier, paper_values)
    typer.echo(write_report(load_results(find_layout(tier).root)))


@app.command()
def pages(
    tier: TierOption = str(PUBLISHED),
    page: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/results.md"),
    readme: Annotated[Path, typer.Option(help="Gets its part on results.")] = Path("README.md"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit status 1 if a page would change.")
    ] = False,
) -> None:
    """Write the page of results and the README's part from a published tier.

    Where there is a config/controls.yaml, also docs/controls.md, from results/published/controls.
    For a config/questions.yaml likewise.
    """
    from vaebench.reporting.controls import write_controls
    from vaebench.reporting.published import write_pages
    from vaebench.reporting.questions import write_questions
    from vaebench.results.read import load_results

    changed = write_pages(load_results(find_layout(tier).root), page, readme, check)
    if (config := find_tier(CONTROLS)).exists():
        layout = Layout(PUBLISHED.with_name(CONTROLS))
        changed += write_controls(load_tier(config), layout, Path("docs/controls.md"), check)
    if (config := find_tier(QUESTIONS)).exists():
        layout = Layout(PUBLISHED.with_name(QUESTIONS))
        changed += write_questions(load_tier(config), layout, Path("docs/questions.md"), check)
    for path in changed:
        typer.echo(f"{path}: not what {tier} gives; `make pages` writes it" if check else path)
    if check and changed:
        raise typer.Exit(1)

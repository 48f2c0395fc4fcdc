"""Commands that fetch data, and that make tables and figures from runs."""

import json
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from vaebench.cli.app import DATA_AND_CONFIGS, SHOW, DataOption, TierOption, app
from vaebench.cli.say import say
from vaebench.data.described import dataset_of
from vaebench.data.registry import DATASETS, check_known
from vaebench.errors import UserError
from vaebench.experiment.figures import FIGURES
from vaebench.experiment.owner import claim_results
from vaebench.experiment.tier import (
    Tier,
    dump_tier,
    find_layout,
    find_tier,
    load_tier,
    own_layout,
)
from vaebench.extras import require
from vaebench.files import has_text, write_atomically
from vaebench.paths import DATA, PAPER_VALUES, PUBLISHED, Layout

CONTROLS = "controls"
QUESTIONS = "questions"
EVIDENCE = "evidence"
PEERS = "peers"
FACES = "celeba-10k-numbers"
"""The tiers whose pages `pages` writes beside that of the published one."""
PaperValuesOption = Annotated[Path, typer.Option(help="The paper's numbers and claims.")]


@app.command(rich_help_panel=DATA_AND_CONFIGS)
def data(
    names: Annotated[
        list[str],
        typer.Argument(
            help=f"Any of: {', '.join(DATASETS)}; a .npz file; a folder of images; or, with "
            "--tier, a name in the config of that tier."
        ),
    ],
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder or URL that holds NAME/FILE. It is tried before the official hosts."
        ),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            help="The tier whose config describes the datasets: its name or its config file."
        ),
    ] = None,
    root: DataOption = DATA,
    check: Annotated[
        bool, typer.Option("--check", help="Only check every byte of the prepared data.")
    ] = False,
) -> None:
    """Fetch, verify and prepare datasets.

    It looks in this order: a verified copy in ROOT/raw, the folder or URL in VAEBENCH_MIRROR,
    --mirror, the official hosts. CelebA cannot be fetched by a program. Put its files into
    ROOT/raw/celeba, or into celeba/ of a mirror. The same command continues a preparation that was
    interrupted.
    """
    from vaebench.data.prepared import load, manifest_path, prepare

    planned = None if tier is None else load_tier(find_tier(tier))
    for name in map(dataset_of, names):
        check_known(name)
        if check:
            load(root / "prepared", name, every_byte=True)
            say(f"{manifest_path(root / 'prepared', name)}: every byte is as it was prepared")
        else:
            say(prepare(name, root, mirror or []))
    if planned is not None:
        from vaebench.quality.needs import check_measurable

        check_measurable(planned, root / "prepared")


@app.command(rich_help_panel=DATA_AND_CONFIGS)
def config(
    tier: TierOption,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead.")] = None,
) -> None:
    """Check the config of a tier, and print it with every default."""
    from vaebench.workflow.rules import check_claims

    path = find_tier(tier)
    loaded = load_tier(path)
    check_claims(loaded)
    # Printed, its paths are as in the config, relative to the same folder.
    text = dump_tier(loaded, (out or path).parent)
    if out is None:
        say(text, newline=False)
    else:
        write_atomically(out, text.encode())


@app.command(hidden=True)
def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference of all keys, in Markdown.")
    ] = False,
) -> None:
    """Print the JSON schema of a config, for editors.

    `make schema` writes it to config/schema.json, and the reference to docs/config.md.
    """
    from vaebench.reporting.config_reference import config_reference

    text = config_reference() if markdown else json.dumps(Tier.model_json_schema(), indent=2) + "\n"
    say(text, newline=False)


@app.command(hidden=True)
def collect(
    tier: TierOption,
    finished_only: Annotated[
        bool, typer.Option("--finished-only", help="Leave out runs that are not trained yet.")
    ] = False,
) -> None:
    """Check all runs of a tier against their settings, sources and data, and make one table."""
    from vaebench.results.collect import collect as collect_runs

    loaded = load_tier(find_tier(tier))
    layout = own_layout(tier, loaded)
    claim_results(loaded, find_tier(tier), layout)
    text = dump_tier(loaded, layout.root)
    if not has_text(layout.config, text):
        write_atomically(layout.config, text.encode())
    collect_runs(loaded, layout, finished_only)
    say(layout.runs)


@app.command(rich_help_panel=SHOW)
def draw(
    names: Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(FIGURES)}.")],
    tier: TierOption,
) -> None:
    """Draw figures of a tier from its collected runs."""
    require("figures")
    from vaebench.figures.draw import draw_figure
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    for name in names:
        draw_figure(loaded, name)
        say(loaded.layout.figure(name, "png"))


@app.command(hidden=True)
def table(
    names: Annotated[list[str], typer.Argument(help="Names of experiments of the tier.")],
    tier: TierOption,
    paper_values: PaperValuesOption = PAPER_VALUES,
) -> None:
    """Write the tables of experiments of a tier from its collected runs."""
    from vaebench.reporting.tables import write_tables
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    for name in names:
        write_tables(loaded, name, paper_values)
        say(loaded.layout.table(name, "md"))


@app.command(rich_help_panel=SHOW)
def claims(
    tier: TierOption,
    paper_values: PaperValuesOption = PAPER_VALUES,
) -> None:
    """Judge the claims of the paper and of the tier's config by the runs of the tier."""
    from vaebench.claims.ledger import parts_of
    from vaebench.claims.ledger_text import mark, others_text, verdicts_text
    from vaebench.claims.write import write_ledger
    from vaebench.results.read import load_results

    loaded = load_results(find_layout(tier).root)
    of_paper, own, others = parts_of(write_ledger(loaded, paper_values))
    for line in [*own, *of_paper]:
        say(f"{line.verdict + mark(line):14} {line.id}: {line.says}")
    say(verdicts_text([*own, *of_paper]))
    if others:
        say(others_text(others))
    say(loaded.layout.claims("md"))


@app.command(rich_help_panel=SHOW)
def report(
    tier: TierOption,
    make: Annotated[
        bool,
        typer.Option(
            "--make",
            help="First collect the trained runs, and make their figures, tables and claims; last "
            "the manifest, as Snakemake does.",
        ),
    ] = False,
    paper_values: PaperValuesOption = PAPER_VALUES,
    show: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser, once it is written.")
    ] = False,
) -> None:
    """Write the page of a tier: its answer, claims, curves, codes, figures and runs."""
    require("figures")
    from vaebench.page.assemble import write_page
    from vaebench.provenance.manifest import write_manifest
    from vaebench.reporting.equations import write_equations
    from vaebench.results.read import load_results

    if make:
        config = load_tier(find_tier(tier))
        collect(tier, finished_only=True)
        draw(config.figures, tier)
        table([experiment.name for experiment in config.experiments], tier, paper_values)
        claims(tier, paper_values)
    layout = find_layout(tier)
    results = load_results(layout.root)
    if make and layout.equation_values.exists():
        write_equations(results, paper_values)
    page = write_page(results)
    if make:
        write_manifest(layout, paper_values)
    say(page)
    if show and not webbrowser.open(page.resolve().as_uri()):
        raise UserError(f"no browser can be started here: open {page} in one")


def _shown_questions() -> str:
    """The tier of questions that is published, the whole one first."""
    tiers = (QUESTIONS, f"{QUESTIONS}-reduced")
    return next((name for name in tiers if PUBLISHED.with_name(name).exists()), QUESTIONS)


@app.command(hidden=True)
def pages(
    tier: TierOption = str(PUBLISHED),
    page: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/results.md"),
    readme: Annotated[Path, typer.Option(help="The file whose part on results is written.")] = Path(
        "README.md"
    ),
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing. The exit status is 1 if a page would change."),
    ] = False,
) -> None:
    """Write docs/results.md and the README's part on results from a published tier.

    It also writes docs/reading.md, and docs/controls.md, docs/questions.md,
    docs/evidence_results.md, docs/ranking.md and docs/celeba.md, if the configs of their tiers are
    there, from what is published of them. Reduced runs of the questions are shown until the whole
    ones are published.
    """
    from vaebench.reporting.controls import write_controls
    from vaebench.reporting.evidence import write_evidence
    from vaebench.reporting.faces import write_faces
    from vaebench.reporting.published import write_pages
    from vaebench.reporting.questions import write_questions
    from vaebench.reporting.ranking import write_ranking
    from vaebench.reporting.reading import write_reading
    from vaebench.results.read import load_results

    results = load_results(find_layout(tier).root)
    evidence, faces = (
        (Layout(PUBLISHED.with_name(name)), Path(f"docs/{target}.md"))
        for name, target in ((EVIDENCE, "evidence_results"), (FACES, "celeba"))
    )
    changed = write_pages(results, page, readme, check, evidence, faces)
    beside = [find_tier(name) for name in (EVIDENCE, _shown_questions(), PEERS)]
    if all(path.exists() for path in beside):
        of_evidence, of_questions, of_peers = map(load_tier, beside)
        changed += write_reading(
            results, of_evidence, of_questions, of_peers, Path("docs/reading.md"), check
        )
    for name, target, write in (
        (CONTROLS, "controls", write_controls),
        (_shown_questions(), "questions", write_questions),
        (EVIDENCE, "evidence_results", write_evidence),
        (PEERS, "ranking", write_ranking),
        (FACES, "celeba", write_faces),
    ):
        if (config := find_tier(name)).exists():
            layout = Layout(PUBLISHED.with_name(name))
            changed += write(load_tier(config), layout, Path(f"docs/{target}.md"), check)
    for path in changed:
        say(f"{path}: not what {tier} gives; `make pages` writes it" if check else path)
    if check and changed:
        raise typer.Exit(1)

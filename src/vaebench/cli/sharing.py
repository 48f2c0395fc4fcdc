"""Commands that check results, tell where they come from, and hand them to others."""

from pathlib import Path
from typing import Annotated

import typer

from vaebench.cli.app import TierOption, TiersOption, app
from vaebench.cli.options import StoreOption
from vaebench.cli.results import PaperValuesOption
from vaebench.errors import UserError
from vaebench.experiment.tier import find_layout
from vaebench.paths import CONFIGS, PAPER_VALUES, RESULTS, SNAKEFILE, STORE
from vaebench.progress import log


@app.command()
def manifest(tier: TierOption, paper_values: PaperValuesOption = PAPER_VALUES) -> None:
    """Write down the digest of every file that a tier made; the workflow does it last."""
    from vaebench.provenance.manifest import write_manifest

    typer.echo(write_manifest(find_layout(tier), paper_values))


@app.command()
def verify(
    tier: Annotated[
        str | None,
        typer.Option(
            "--tier",
            help="A tier: its name, its config file, or its folder; or a folder that holds "
            "several. All below results/ if not given.",
        ),
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Weights that are not here are a problem.")
    ] = False,
) -> None:
    """Check every file of a tier, offline, and the chain of digests from settings to figures.

    Names each file that was changed, is missing or does not belong; exit status 1 if there is one.
    Weights that are not here are counted, and sources other than this checkout's are reported.
    """
    from vaebench.provenance.verify import find_tiers
    from vaebench.provenance.verify import verify as verify_tier

    whole = True
    for layout in find_tiers(RESULTS if tier is None else find_layout(tier).root):
        found = verify_tier(layout, weights)
        for problem in found.problems:
            typer.echo(problem)
        for level, count in sorted(found.attested.items()):
            typer.echo(
                f"{layout.root}: {count} of {found.runs} runs were made by sources that are "
                f"attested to compute the same as this checkout's ({level})"
            )
        if found.other_sources:
            typer.echo(
                f"{layout.root}: {len(found.other_sources)} of {found.runs} runs were made by "
                "other sources than this checkout's"
            )
        missing = f", {found.weights_missing} of {found.runs} weights not here"
        state = f"{len(found.problems)} problems" if found.problems else "whole"
        typer.echo(
            f"{layout.root}: {state}; {found.files} files, {found.runs} runs"
            f"{missing if found.weights_missing else ''}; manifest {found.manifest_digest}"
        )
        whole = whole and not found.problems
    if not whole:
        raise typer.Exit(1)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="A file below results/, such as a figure.")],
) -> None:
    """Say where a figure, table or run comes from: runs, weights, code, data, commit and device."""
    from vaebench.provenance.trace import explain as explain_file

    typer.echo(explain_file(file))


@app.command()
def export(
    tier: TierOption,
    out: Annotated[
        Path, typer.Option(help="The archive to write, such as smoke.tar, or a folder.")
    ],
    unpacked: Annotated[
        bool, typer.Option("--unpacked", help="Write a folder instead, to be kept in git.")
    ] = False,
    weights: Annotated[bool, typer.Option("--weights", help="Pack the weights too.")] = False,
) -> None:
    """Pack a tier into one archive or a folder, for `vaebench import` elsewhere."""
    from vaebench.sharing.archive import export_tier, publish_tier

    write = publish_tier if unpacked else export_tier
    typer.echo(write(find_layout(tier), out, weights))


@app.command("import")
def import_(
    archive: Annotated[Path, typer.Argument(help="An archive, or its folder unpacked.")],
    store: StoreOption = STORE,
) -> None:
    """Check an archive, unpack it below results/ and adopt its runs: they are not trained again."""
    from vaebench.sharing.adopt import check_current, mark_current
    from vaebench.sharing.archive import import_tier

    if not archive.exists():
        raise UserError(f"{archive} is missing")
    layout = import_tier(archive, RESULTS, store)
    typer.echo(layout.root)
    if not SNAKEFILE.exists():
        return
    try:
        check_current(layout, CONFIGS)
    except UserError as error:
        # To look at, verify and explain; snakemake refuses to collect it.
        log.info(f"it can be looked at, but this checkout does not go on from it: {error}")
        return
    mark_current(layout, PAPER_VALUES)


@app.command()
def push(tier: TiersOption = None) -> None:
    """Record finished tiers with DVC, send their bytes to its remote, stage their text for git."""
    from vaebench.sharing.dvc import push as push_tiers

    staged = push_tiers(tier or [])
    typer.echo(f"staged for git: {len(staged)} paths; `git commit` keeps this version")


@app.command()
def pull(tier: TiersOption = None, store: StoreOption = STORE) -> None:
    """Bring recorded tiers from DVC's remote, check them, and let snakemake go on from them."""
    from vaebench.sharing.dvc import pull as pull_tiers

    for layout in pull_tiers(tier or [], store):
        typer.echo(layout.root)

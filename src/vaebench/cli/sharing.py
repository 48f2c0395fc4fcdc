"""Commands that check results, tell where they come from, and hand them to others."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from vaebench.cli.app import CHECK, SHARE, SHOW, TierOption, TiersOption, app
from vaebench.cli.options import StoreOption
from vaebench.cli.results import PaperValuesOption
from vaebench.errors import UserError
from vaebench.experiment.tier import find_layout, load_tier
from vaebench.paths import CONFIGS, PAPER_VALUES, RESULTS, SNAKEFILE, STORE, Layout
from vaebench.progress import log


@app.command(hidden=True)
def manifest(tier: TierOption, paper_values: PaperValuesOption = PAPER_VALUES) -> None:
    """Write the digests of all files of a tier to its manifest.json. The workflow does so last."""
    from vaebench.provenance.manifest import write_manifest

    typer.echo(write_manifest(find_layout(tier), paper_values))


@app.command(rich_help_panel=CHECK)
def verify(
    tier: Annotated[
        str | None,
        typer.Option(
            "--tier",
            help="A tier: its name, its config file or its folder; or a folder that holds several "
            "tiers. Default: all tiers in results/.",
        ),
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Also report missing weights as a problem.")
    ] = False,
) -> None:
    """Check every file of a tier, and the chain of digests from settings to figures.

    It needs no network. It names each file that was changed, is missing or does not belong to the
    tier. The exit status is then 1. It also counts missing weights and runs that other sources than
    those of this checkout made.
    """
    from vaebench.provenance.verify import find_tiers
    from vaebench.provenance.verify import verify as verify_tier

    whole = True
    for layout in find_tiers(RESULTS if tier is None else find_layout(tier).root):
        found = verify_tier(layout, weights)
        for problem in found.problems:
            typer.echo(problem)
        if found.problems and layout.config.exists():
            _name_left_over(layout)
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


def _name_left_over(layout: Layout) -> None:
    """Say how to remove what the config of a tier had before, if that is there."""
    from vaebench.runs.left_over import left_over

    with contextlib.suppress(UserError):  # a config that cannot be read is among the problems
        if found := left_over(load_tier(layout.config), layout):
            typer.echo(
                f"{layout.root}: {len(found)} files are of what its config no longer has: "
                f"`vaebench tidy --tier {layout.root}` removes them; runs stay in the store"
            )


@app.command(rich_help_panel=SHOW)
def tidy(tier: TierOption, store: StoreOption = STORE) -> None:
    """Remove the results of runs, figures and tables that the config of a tier no longer has.

    The runs stay in the store, so that they are not trained again if the config has them again.
    """
    from vaebench.runs.left_over import tidy as tidy_tier

    layout = find_layout(tier)
    count = tidy_tier(load_tier(layout.config), layout, store)
    typer.echo(f"{layout.root}: {count} files removed")
    if count:
        typer.echo("run the tier again: it makes the tables and the manifest anew")


@app.command(rich_help_panel=CHECK)
def explain(
    file: Annotated[Path, typer.Argument(help="A file in results/, such as a figure.")],
) -> None:
    """Show what a figure, table or run was made from: runs, weights, code, data and device."""
    from vaebench.provenance.trace import explain as explain_file

    typer.echo(explain_file(file))


@app.command(rich_help_panel=SHARE)
def export(
    tier: TierOption,
    out: Annotated[
        Path, typer.Option(help="The archive to write, such as smoke.tar, or a folder.")
    ],
    unpacked: Annotated[
        bool, typer.Option("--unpacked", help="Write a folder instead, which git can keep.")
    ] = False,
    weights: Annotated[bool, typer.Option("--weights", help="Also pack the weights.")] = False,
) -> None:
    """Pack a tier into one archive or one folder, for `vaebench import`."""
    from vaebench.sharing.archive import export_tier, publish_tier

    write = publish_tier if unpacked else export_tier
    typer.echo(write(find_layout(tier), out, weights))


@app.command("import", rich_help_panel=SHARE)
def import_(
    archive: Annotated[Path, typer.Argument(help="An archive, or an unpacked folder.")],
    store: StoreOption = STORE,
) -> None:
    """Check an archive and unpack it into results/. Its runs are not trained again."""
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
        log.info(
            f"the tier can be shown and verified, but snakemake cannot continue it here: {error}"
        )
        return
    mark_current(layout, PAPER_VALUES)


@app.command(rich_help_panel=SHARE)
def push(tier: TiersOption = None) -> None:
    """Record finished tiers with DVC, send them to its remote, and stage their text for git."""
    from vaebench.sharing.dvc import push as push_tiers

    staged = push_tiers(tier or [])
    typer.echo(f"staged for git: {len(staged)} paths; `git commit` keeps this version")


@app.command(rich_help_panel=SHARE)
def pull(tier: TiersOption = None, store: StoreOption = STORE) -> None:
    """Fetch recorded tiers from the DVC remote and check them. Snakemake can then continue them."""
    from vaebench.sharing.dvc import pull as pull_tiers

    for layout in pull_tiers(tier or [], store):
        typer.echo(layout.root)

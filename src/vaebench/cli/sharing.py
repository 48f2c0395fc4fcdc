"""Commands that check results, tell where they come from, and hand them to others."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from vaebench.cli.app import CHECK, SHARE, SHOW, TierOption, TiersOption, app
from vaebench.cli.options import DeviceOption, PluginOption, StoreOption
from vaebench.cli.results import PaperValuesOption
from vaebench.cli.say import say
from vaebench.errors import UserError
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.tier import find_layout, find_tier, load_tier
from vaebench.paths import CONFIGS, DATA, PAPER_VALUES, RESULTS, SNAKEFILE, STORE, Layout
from vaebench.plain_text import on_one_line
from vaebench.progress import log


@app.command(hidden=True)
def manifest(tier: TierOption, paper_values: PaperValuesOption = PAPER_VALUES) -> None:
    """Write the digests of all files of a tier to its manifest.json. The workflow does so last."""
    from vaebench.provenance.manifest import write_manifest

    say(write_manifest(find_layout(tier), paper_values))


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
    replay: Annotated[
        int,
        typer.Option(
            min=0,
            max=100_000,
            help="Also train so many completed runs of each tier again, and compare them: the "
            "cheapest ones, or those that --seed draws.",
        ),
    ] = 0,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**63 - 1, help="Draws the runs that --replay trains again."),
    ] = None,
    device: DeviceOption = None,
    root: Annotated[Path, typer.Option("--data", help="Folder of the data for --replay.")] = DATA,
    plugin: PluginOption = None,
) -> None:
    """Check every file of a tier, and that its results are what its records give.

    It needs no network. It checks the chain of digests from settings to figures and that all files
    are there that the config asks for. It collects the runs again, makes tables, claims and page
    again, and compares them. It names each problem with its remedy; the exit status is then 1. It
    also counts missing weights and runs that other sources than those of this checkout made.

    Digests prove that files fit each other, not who made them: whoever makes all of them anew can
    claim any number. --replay shows that the code gives these numbers: the same bits where machine
    and training are alike, else metrics within 1%.
    """
    from vaebench.provenance.verify import find_tiers

    load_plugins(plugin or [])
    whole = True
    tiers = find_tiers(RESULTS if tier is None else find_layout(tier).root)
    for layout in tiers:
        try:
            whole = _verify(layout, weights, replay, seed, device, root) and whole
        except UserError as error:
            if len(tiers) == 1:
                raise
            say(f"{layout.root}: not verified: {error}")
            whole = False
    if not whole:
        raise typer.Exit(1)


def _verify(
    layout: Layout, weights: bool, replay: int, seed: int | None, device: str | None, root: Path
) -> bool:
    """Verify a tier as `verify` was told to, print what is found, and return whether it is whole.

    Raises:
        UserError: the tier cannot be read.
    """
    from vaebench.experiment.unasked import check_plugins
    from vaebench.verification.whole import verify_whole

    check_plugins(layout, RESULTS)
    found = verify_whole(layout, weights)
    for line in [*found.problems, *found.unproven]:
        say(on_one_line(line))
    if found.problems and layout.config.exists():
        _name_left_over(layout)
    for level, count in sorted(found.attested.items()):
        say(
            f"{layout.root}: {count} of {found.runs} runs were made by sources that are "
            f"attested to compute the same as this checkout's ({level})"
        )
    if found.other_sources:
        say(
            f"{layout.root}: {len(found.other_sources)} of {found.runs} runs were made by "
            "other sources than this checkout's"
        )
    again = 0
    if replay and not found.problems:
        again = _replay(layout, replay, seed, device, root)
    if found.thin:
        say(
            f"{layout.root}: {found.thin} files lack arrays that no figure, no claim and not "
            "the page needs (a thin copy)"
        )
    missing = f", {found.weights_missing} of {found.runs} weights not here"
    problems = len(found.problems) + again
    state = f"{problems} problems" if problems else "whole"
    if found.unproven:
        state += f", {len(found.unproven)} results not proven"
    say(
        f"{layout.root}: {state}; {found.files} files, {found.runs} runs"
        f"{missing if found.weights_missing else ''}; manifest {found.manifest_digest}"
    )
    return not problems and not found.unproven


def _replay(layout: Layout, count: int, seed: int | None, device: str | None, data: Path) -> int:
    """Train runs of a tier again, and print what came out; returns the number of problems."""
    from vaebench.execution.device import choose_device
    from vaebench.verification.replay import choose_runs
    from vaebench.verification.replay import replay as replay_runs

    problems = 0
    chosen = choose_runs(layout, count, seed)
    rule = "the cheapest" if seed is None else f"drawn with seed {seed}"
    say(f"{layout.root}: training {len(chosen)} runs again, {rule}")
    recorded = next(iter(chosen.values())).worker.device
    for run in replay_runs(chosen, choose_device(device or recorded), data):
        other = f" (other {', '.join(run.other)})" if run.other else ""
        if run.problem is not None:
            said, problems = f"does not come out again: {run.problem}", problems + 1
        elif run.same_bits:
            said = "the same bits"
        else:
            said = f"within the tolerance, at most {run.difference:.1%} of it is used"
        say(on_one_line(f"{layout.root / 'runs' / run.name}: {said}{other}"))
    return problems


def _name_left_over(layout: Layout) -> None:
    """Say how to remove what the config of a tier had before, if that is there."""
    from vaebench.runs.left_over import left_over

    with contextlib.suppress(UserError):  # a config that cannot be read is among the problems
        if found := left_over(load_tier(layout.config), layout):
            say(
                f"{layout.root}: {len(found)} files are of what its config no longer has: "
                f"`vaebench tidy --tier {layout.root}` removes them; runs stay in the store"
            )


@app.command(rich_help_panel=SHOW)
def tidy(tier: TierOption, store: StoreOption = STORE) -> None:
    """Remove the runs, measures, figures and tables that the config of a tier no longer has.

    Runs and measures stay in the store, so they are not made again if the config has them again.
    """
    from vaebench.runs.left_over import tidy as tidy_tier

    layout = find_layout(tier)
    config = find_tier(tier)
    count = tidy_tier(load_tier(config if config.exists() else layout.config), layout, store)
    say(f"{layout.root}: {count} files removed")
    if count:
        say("run the tier again: it makes the tables and the manifest anew")


@app.command(rich_help_panel=CHECK)
def explain(
    file: Annotated[Path, typer.Argument(help="A file in results/, such as a figure.")],
    plugin: PluginOption = None,
) -> None:
    """Show what a figure, table or run was made from: runs, weights, code, data and device."""
    from vaebench.experiment.unasked import check_plugins
    from vaebench.provenance.trace import explain as explain_file
    from vaebench.provenance.trace import tier_of

    load_plugins(plugin or [])
    check_plugins(tier_of(file), RESULTS)
    say(explain_file(file))


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
    thin: Annotated[
        bool,
        typer.Option(
            "--thin",
            help="Leave out arrays that no figure, no claim and not the page needs. The page keeps "
            "the codes of one seed of each setting. Figures stay as PNG. What is left can be "
            "verified, and drawn again with SVG. "
            "With --unpacked, images that may not be published are left out too.",
        ),
    ] = False,
) -> None:
    """Pack a tier into one archive or one folder, for `vaebench import`."""
    from vaebench.sharing.archive import export_tier, publish_tier

    write = publish_tier if unpacked else export_tier
    say(write(find_layout(tier), out, weights, thin))


@app.command("import", rich_help_panel=SHARE)
def import_(
    archive: Annotated[Path, typer.Argument(help="An archive, or an unpacked folder.")],
    store: StoreOption = STORE,
    plugin: PluginOption = None,
) -> None:
    """Check an archive and move it into results/. Its runs are not trained again.

    Every file is read and checked in a folder of its own first, and results are made again from
    the records and compared. What is in results/ and in the store stays as it is. A plugin that the
    tier's config names is a program: it runs only if you give its file with --plugin.
    """
    from vaebench.sharing.adopt import check_current, mark_current
    from vaebench.sharing.archive import import_tier

    if not archive.exists():
        raise UserError(f"{archive} is missing")
    layout = import_tier(archive, RESULTS, store, plugin or [])
    say(layout.root)
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
    say(f"staged for git: {len(staged)} paths; `git commit` keeps this version")


@app.command(rich_help_panel=SHARE)
def pull(tier: TiersOption = None, store: StoreOption = STORE) -> None:
    """Fetch recorded tiers from the DVC remote and check them. Snakemake can then continue them."""
    from vaebench.sharing.dvc import pull as pull_tiers

    for layout in pull_tiers(tier or [], store):
        say(layout.root)

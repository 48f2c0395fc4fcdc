"""Thin copies of tiers, for git: without the arrays that its figures and claims do not need."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from vaebench.claims.write import write_ledger
from vaebench.extras import require
from vaebench.files import write_atomically
from vaebench.page.runs import ShownRun, shown_runs
from vaebench.paths import Layout
from vaebench.provenance.manifest import write_manifest
from vaebench.reading.arrays import noting
from vaebench.reading.thin import thin
from vaebench.results.read import Results, load_results

SMALL = 5_000
"""Arrays of at most so many bytes always stay."""
OF_PRIOR = "prior_"
"""The beginning of the names of arrays that belong to the model. They always stay, too."""
WHOLE = "evidence.npz"
"""The log evidence of each image, which is a result itself, stays with all that belongs to it."""


def thin_tier(layout: Layout, paper_values: Path) -> None:
    """Leave out the arrays of a tier that no figure, no claim and not its page needs.

    What is needed is found by drawing all figures and judging all claims again. The page keeps the
    codes and samples of one run of each setting, the completed one with the smallest seed. It is
    made again, and so is the manifest.

    Args:
        layout: a copy of a tier. Its files change.
        paper_values: the path of config/paper_values.yaml.

    Raises:
        UserError: the packages that draw are missing, or a file is missing or damaged.
    """
    require("figures")
    from vaebench.figures.draw import draw_figure
    from vaebench.page.assemble import write_page
    from vaebench.page.codes import codes_of

    results = load_results(layout.root)
    with noting() as needed:
        for name in results.tier.figures:
            draw_figure(results, name)
        write_ledger(results, paper_values)
        for run in _shown(results):
            codes_of(results, run)
    for path in sorted((layout.root / "runs").rglob("*.npz")):
        keep = {*needed.get(path, ()), *_always(path)}
        write_atomically(path, thin(path.read_bytes(), keep))
    write_page(results)
    write_manifest(layout, paper_values)


def _shown(results: Results) -> Iterator[ShownRun]:
    """The completed run with the smallest seed of each setting of each experiment."""
    completed = (run for run in shown_runs(results) if run.status == "completed")
    seen = set()
    for run in sorted(completed, key=lambda run: run.seed):
        if (run.experiment, run.settings) not in seen:
            seen.add((run.experiment, run.settings))
            yield run


def _always(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            is_of_model = member.filename.startswith(OF_PRIOR)
            if path.name == WHOLE or is_of_model or member.file_size <= SMALL:
                yield member.filename.removesuffix(".npy")

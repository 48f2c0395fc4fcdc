"""Thin copies of tiers, for git: without the arrays that its figures and claims do not need."""

import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vaebench.claims.write import write_ledger
from vaebench.errors import UserError
from vaebench.extras import require
from vaebench.files import write_atomically
from vaebench.page.runs import shown_runs
from vaebench.paths import VECTOR, Layout
from vaebench.provenance.manifest import write_manifest
from vaebench.reading.arrays import arrays_of, noting
from vaebench.reading.packed import pack
from vaebench.reading.thin import thin
from vaebench.results.read import load_results

SMALL = 5_000
"""Arrays of at most so many bytes always stay."""
OF_PRIOR = "prior_"
"""The beginning of the names of arrays that belong to the model. They always stay, too."""
WHOLE = "evidence.npz"
"""The log evidence of each image, which is a result itself, stays with all that belongs to it."""


def thin_tier(layout: Layout, paper_values: Path, private: Sequence[str] = ()) -> None:
    """Leave out the arrays of a tier that no figure, no claim and not its page needs.

    What is needed is found by drawing all figures and judging all claims again. The page keeps the
    codes and samples of one run of each setting, the completed one with the smallest seed. It is
    made again, and so is the manifest. Figures stay as PNG, which the page then refers to: their
    vector graphics take more space, and anyone can draw them again. The histories in the records of
    runs are packed, see `reading/packed.py`.

    Args:
        layout: a copy of a tier. Its files change.
        paper_values: the path of config/paper_values.yaml.
        private: those of its datasets whose images may not be published. If there are any, all
            images are left out, and with them what the page keeps.

    Raises:
        UserError: the packages that draw are missing, a file is missing or damaged, or a figure or
            claim shows images of a tier that may not.
    """
    require("figures")
    from vaebench.figures.draw import draw_figure
    from vaebench.page.assemble import write_page
    from vaebench.page.codes import codes_of, first_of_settings

    results = load_results(layout.root)
    needed: dict[Path, set[str]] = defaultdict(set)
    for name in results.tier.figures:
        with _needing(needed, name, private):
            draw_figure(results, name)
    with _needing(needed, "a claim", private):
        write_ledger(results, paper_values)
    if not private:
        with _needing(needed, "the page"):
            for run in first_of_settings(shown_runs(results)):
                codes_of(results, run)
    for path in sorted((layout.root / "runs").rglob("*.npz")):
        content = path.read_bytes()
        never = pictures_in(content, path) if private else set()
        write_atomically(path, thin(content, {*needed[path], *_always(path)} - never))
    for path in sorted((layout.root / "runs").rglob("metrics.json")):
        write_atomically(path, pack(path.read_bytes()))
    for name in results.tier.figures:
        layout.figure(name, VECTOR).unlink()
    write_page(results)
    write_manifest(layout, paper_values)


def pictures_in(content: bytes, path: Path) -> set[str]:
    """The names of the arrays of a run that hold levels of pixels: bytes, in rows or images."""
    arrays = arrays_of(content, path, "")
    return {name for name, array in arrays.items() if array.dtype == np.uint8 and array.ndim > 1}


@contextmanager
def _needing(
    needed: dict[Path, set[str]], what: str, private: Sequence[str] = ()
) -> Iterator[None]:
    """Add to `needed` what is asked of arrays; refuse it if these are images of `private`."""
    with noting() as noted:
        yield
    for path, names in noted.items():
        needed[path] |= names
        if private and names & pictures_in(path.read_bytes(), path):
            raise UserError(
                f"{what} shows images of {', '.join(private)}, which may not be published: write a "
                "config with another `tier:` and without it (its runs are not trained again), and "
                "export that tier"
            )


def _always(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            is_of_model = member.filename.startswith(OF_PRIOR)
            if path.name == WHOLE or is_of_model or member.file_size <= SMALL:
                yield member.filename.removesuffix(".npy")

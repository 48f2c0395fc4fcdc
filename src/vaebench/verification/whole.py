"""The whole verification of a tier: its digests, its files, and its results made again."""

from pathlib import Path

from vaebench.paths import PAPER_VALUES, Layout
from vaebench.provenance.verify import Verification, verify
from vaebench.verification.remake import remade_differences

OF_PAPER = PAPER_VALUES.absolute()


def verify_whole(
    layout: Layout, need_weights: bool = False, paper_values: Path = OF_PAPER
) -> Verification:
    """Check the digests of a tier, and then that its results are what its records give.

    Figures are not drawn again.

    Args:
        layout: the tier.
        need_weights: whether missing weights are a problem.
        paper_values: the paper's numbers and claims.

    Raises:
        UserError: the manifest is missing or damaged.
    """
    found = verify(layout, need_weights)
    if not found.problems:
        found.problems, found.unproven = remade_differences(layout, paper_values)
    return found

"""A folder of results belongs to one config file.

Two files that name the same tier, such as a config and its copy, would replace each other's tables.
So the folder notes the file that it was made from.
"""

import os
from pathlib import Path

from vaebench.errors import UserError
from vaebench.experiment.tier import Tier, dump_tier
from vaebench.files import has_text, write_atomically
from vaebench.paths import Layout
from vaebench.progress import log
from vaebench.reading.text import read_text
from vaebench.yaml_text import read_yaml


def check_owner(tier: Tier, config: Path, layout: Layout) -> bool:
    """Check that the results of a tier do not belong to another config file.

    A file that is gone, or that names another tier by now, owns nothing: a config can be renamed.

    Args:
        tier: the tier.
        config: the file that it was read from.
        layout: the places of its results, which need not exist.

    Returns:
        Whether the file is to be noted as the owner.

    Raises:
        UserError: the results belong to another file, which would give other results.
    """
    if config.resolve().parent == layout.root.resolve():
        return False  # the resolved config, which the workflow's jobs take
    if not layout.owner.exists():
        return True
    owner = Path(read_text(layout.owner, "remove it").strip())
    if owner.exists() and config.exists() and owner.samefile(config):
        return False
    if not _names(owner, tier.tier):
        log.info(f"{layout.root} belonged to {owner}, and belongs to {config} from now on")
        return True
    text = dump_tier(tier, layout.root)
    if has_text(layout.config, text):
        return False
    raise UserError(
        f"{layout.root} belongs to {owner}, which names the tier '{tier.tier}' as {config} does: "
        f"give {config} a `tier:` of its own. Runs that they share are not trained again. To hand "
        f"the folder to {config}, remove {layout.owner}"
    )


def claim_results(tier: Tier, config: Path, layout: Layout) -> None:
    """Note which config file the results of a tier belong to.

    Raises:
        UserError: as for `check_owner`.
    """
    if check_owner(tier, config, layout):
        # Relative inside of the project, so that the project can be moved.
        path = os.path.relpath(config)
        text = str(config.absolute()) if path.startswith(os.pardir) else path
        write_atomically(layout.owner, f"{text}\n".encode())


def _names(config: Path, tier: str) -> bool:
    """Whether a config file exists and names this tier. One that cannot be read is believed to."""
    try:
        values = read_yaml(config)
    except UserError:
        return config.exists()
    return isinstance(values, dict) and values.get("tier") == tier

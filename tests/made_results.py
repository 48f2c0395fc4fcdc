"""Results made up for a test, whose answer is known, and what statistics say of them."""

from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd

from tests.conftest import PROJECT
from vaebench.claims.ledger import judge_claim
from vaebench.claims.paper import Claim, PaperValues, load_paper_values
from vaebench.claims.registry import compute
from vaebench.claims.select import Watched
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import Layout

PAPER = PROJECT / "config" / "paper_values.yaml"
TIER = load_tier(PROJECT / "config" / "smoke.yaml")


class Made(Watched):
    """Results made up for a test, with arrays by folder. What was run is what was planned, unless
    the plan of the tier is asked for.
    """

    made: dict[str, dict[str, Any]]
    as_planned: bool = False

    def planned(self, experiment: str, **settings: Any) -> pd.DataFrame:
        asked = super().planned if self.as_planned else self.of
        return asked(experiment, **settings)

    def arrays(self, row: Any) -> dict[str, Any]:
        return self.made[row["folder"]]


def made(
    rows: list[dict[str, Any]],
    history: list[dict[str, Any]] | None = None,
    arrays: dict[str, dict[str, Any]] | None = None,
    tier: Tier = TIER,
    as_planned: bool = False,
) -> Watched:
    common: dict[str, Any] = {
        "latent_dim": 2, "status": "completed", "test_active_units": 2, "dataset": "digits",
        "epochs": 20, "steps": None, "likelihood": "bernoulli", "network": "mlp",
    }  # fmt: skip
    filled = [common | {"folder": str(k), "run_hash": str(k)} | r for k, r in enumerate(rows)]
    results = Made(Layout(Path("nowhere")), tier, pd.DataFrame(filled), pd.DataFrame(history or []))
    object.__setattr__(results, "made", arrays or {})
    object.__setattr__(results, "as_planned", as_planned)
    return results


def values_of(name: str, results: Watched, **arguments: object) -> list[float]:
    """The numbers of a statistic with one part."""
    (numbers,) = compute(name, results, arguments).values()
    return list(numbers)


def parts_of(name: str, results: Watched, **arguments: object) -> dict[str, list[float]]:
    """The numbers of a statistic with several parts."""
    parts = compute(name, results, arguments)
    return {place: list(numbers) for place, numbers in parts.items()}


@cache
def _of_paper() -> PaperValues:
    return load_paper_values(PAPER)


def verdict_of(name: str, results: Watched) -> str:
    """The verdict of the paper's claim with this id."""
    (own,) = (one for one in _of_paper().claims if one.id == name)
    # Made-up arrays are of these very results, not of a copy that watches them.
    with patch.object(Watched, "of_results", lambda results, _: results):
        return judge_claim(results, own).verdict.value


def claim(**criterion: Any) -> Claim:
    values = {
        "id": "a-claim", "place": "Fig. 4a", "says": "one is larger", "unit": "nats",
        "statistic": "bound_difference",
        "arguments": {"of": "bilbo", "minus": "learned", "n": "low"},
    }  # fmt: skip
    return Claim.model_validate(values | criterion)

"""What a config asks for has limits, and what it says is shown as it is."""

import re
from typing import Any

import pytest

from tests.unit.test_config import small
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged
from vaebench.claims.ledger_text import to_markdown
from vaebench.experiment.tier import Tier
from vaebench.parameters import Parameter


def experiment(**changes: Any) -> dict[str, Any]:
    values = small()
    one = values["experiments"][0]
    for name, change in changes.items():
        one[name] = one[name] | change if isinstance(one.get(name), dict) else change
    return values


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (small() | {"tier": "published"}, r"results/published/ holds the tiers that are kept"),
        (small() | {"tier": "a" * 101}, "at most 100 characters"),
        (experiment(name="a" * 300), "at most 100 characters"),
        (experiment(settings={"hidden_units": 10**7}), "hidden_units.*at most 100000"),
        (experiment(settings={"hidden_layers": 10**5}), "hidden_layers.*at most 1000"),
        (experiment(settings={"learning_rate": 1e200}), "less than or equal to 10{30}"),
        (experiment(settings={"batch_size": 10**12}), "less than or equal to 1000000000"),
        (experiment(axes={"latent_dim": list(range(1, 400)), "seed": list(range(400))}),
         "axes: they have 319,200 combinations; at most 100,000"),
        (experiment(evidence={"draws": 10**12}), "less than or equal to 10000000"),
        (experiment(evidence={"seed": 2**70}), "less than 9223372036854775808"),
        (experiment(latent={"seed": 2**70}), "less than 9223372036854775808"),
        (experiment(equations={"chains": 10**9}), "less than or equal to 10000000"),
        (experiment(dependence={"images": 10**9}), "less than or equal to 10000000"),
        (small() | {"datasets": {"own": {"npz": "a.npz", "split_seed": 2**70}}}, "less than 92"),
    ],
)  # fmt: skip
def test_too_much_is_refused_with_its_limit(values: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        Tier.model_validate(values)
    assert Tier.model_validate(small())


@pytest.mark.parametrize("value", [10**29, 10**400, -(10**31), 1e31])
def test_a_parameter_has_no_larger_number_than_a_float32(value: float) -> None:
    problem = Parameter(1.0).problem(value)
    assert (problem is None) == (abs(value) <= 1e30)


def test_markup_in_a_claim_is_shown_as_it_is() -> None:
    nasty = "a | b <script>alert(1)</script> [x](javascript:1) `code` *bold*"
    line = Judged(
        id="own", place="", says=nasty, paper="", statistic="s", unit="nats", expects="above 0",
        value=None, low=None, high=None, interval="none", parts={}, verdict=Verdict.NOT_RUN,
        reason=nasty, source="own", runs="", as_in_paper=True,
    )  # fmt: skip
    text = to_markdown("small", [line])
    assert not re.search(r"(?<!\\)[<\[*`](script|x\]|bold|code)", text)
    (row,) = (row for row in text.splitlines() if "alert" in row)
    header = next(row for row in text.splitlines() if row.startswith("| claim"))
    assert len(re.findall(r"(?<!\\)\|", row)) == header.count("|")

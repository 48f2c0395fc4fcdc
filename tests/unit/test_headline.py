"""The README's answer follows the ledger, whatever its verdicts are."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import PROJECT
from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged
from vaebench.paths import PUBLISHED, Layout
from vaebench.reporting.headline import LEAD, NO_DETRIMENT, ROWS, Headline, headline_of


def ledger() -> list[Judged]:
    """The published claims that the table or the sentences are made from."""
    claims = json.loads(Layout(PROJECT / PUBLISHED).claims("json").read_text())["claims"]
    used = {one for _, ids in ROWS for one in ids}
    lines = [Judged.model_validate_json(json.dumps(c)) for c in claims if c["id"] in used]
    return [line.model_copy(update={"after_seeing": False}) for line in lines]


def changed(**changes: dict[str, Any]) -> Headline:
    """The answer after changes of some claims, by their ids with underscores for hyphens."""
    found = {claim.id: claim for claim in ledger()}
    for name, change in changes.items():
        key = name.replace("_", "-")
        found[key] = found[key].model_copy(update=change)
    return headline_of(list(found.values()))


def test_every_claim_of_the_table_is_in_the_ledger() -> None:
    assert {one for _, ids in ROWS for one in ids if one} == {claim.id for claim in ledger()}


def test_the_sentences_have_the_numbers_of_the_ledger() -> None:
    low = {"value": -3.25, "low": -4.0, "high": -2.5, "seeds": 7}
    found = changed(fig04a_bilbo=low, fig04b_bilbo={"seeds": 10})
    assert len(found.sentences) == 3
    assert "−3.2 nats [−4.0, −2.5] at n = 2" in found.sentences[1]
    assert "mean over 7 and 10 paired seeds" in found.sentences[1]
    assert "on `mnist` after 200 epochs" in found.sentences[1]


@pytest.mark.parametrize(
    ("cost", "lead", "sentence"),
    [
        (
            (Verdict.REPRODUCED, Verdict.REPRODUCED),
            (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
            "**A constant variance (BILBO) costs less than 1 nat of the test bound at both n, and "
            "which bound is larger is undecided at both n.**",
        ),
        (
            (Verdict.DIFFERS, Verdict.INCONCLUSIVE),
            (Verdict.DIFFERS, Verdict.REPRODUCED),
            "**A constant variance (BILBO) costs more than 1 nat of the test bound at n = 2, "
            "whether a constant variance (BILBO) costs more than 1 nat of the test bound is "
            "undecided at n = 100, its bound is the larger one at n = 100, and its bound is the "
            "smaller one at n = 2.**",
        ),
        (
            (Verdict.NOT_RUN, Verdict.NOT_RUN),
            (Verdict.REPRODUCED, Verdict.INCONCLUSIVE),
            "**The test bound of a constant variance (BILBO) is the larger one at n = 2, and "
            "which test bound is larger is undecided at n = 100.**",
        ),
        (
            (Verdict.NOT_RUN, Verdict.NOT_RUN),
            (Verdict.NOT_RUN, Verdict.NOT_RUN),
            "Nothing is decided yet.",
        ),
    ],
)
def test_the_answer_follows_the_verdicts(
    cost: tuple[Verdict, Verdict], lead: tuple[Verdict, Verdict], sentence: str
) -> None:
    verdicts = dict(zip([*NO_DETRIMENT, *LEAD], [*cost, *lead], strict=True))
    changes = {str(k).replace("-", "_"): {"verdict": v} for k, v in verdicts.items()}
    assert changed(**changes).sentences[0] == sentence


def test_what_was_not_run_is_said_and_no_claims_give_no_answer() -> None:
    nothing = {"value": None, "low": None, "high": None, "verdict": Verdict.NOT_RUN}
    found = changed(fig04b_bilbo=nothing)
    assert "at n = 2 and not measured at n = 100" in found.sentences[1]
    lead = next(row for row in found.rows if "larger test bound" in row.statement)
    assert lead.high == "**not run**"
    assert headline_of([]) == Headline([], ("low n", "high n"), [], "")


def test_a_claim_that_was_written_when_runs_had_been_seen_is_marked() -> None:
    assert changed().marked == ""
    found = changed(fig04b_bilbo={"after_seeing": True})
    lead = next(row for row in found.rows if "larger test bound" in row.statement)
    assert lead.high.startswith("**reproduced** ‡ ")
    assert "‡" not in lead.low
    assert found.marked == "‡"


def test_a_difference_of_logarithms_is_a_factor() -> None:
    change = {"value": 0.0, "low": -0.6931471805599453, "high": 0.6931471805599453}
    found = changed(fig04c_bilbo=change)
    row = next(row for row in found.rows if row.statement.endswith("the same KID"))
    assert row.criterion == "within a factor of 1.5, KID"
    assert row.high.endswith("× 1.00 [0.50, 2.00]")


@given(
    st.tuples(*[st.floats(-1e4, 1e4)] * 3).map(sorted),
    st.sampled_from([v for v in Verdict if v != Verdict.NOT_RUN]),
)
def test_any_number_is_shown_to_two_digits_or_more(values: list[float], verdict: Verdict) -> None:
    low, value, high = values
    change = {"value": value, "low": low, "high": high, "verdict": verdict}
    row = next(r for r in changed(fig04a_bilbo=change).rows if "larger test bound" in r.statement)
    shown = [float(x.replace("−", "-")) for x in re.findall(r"−?\d+(?:\.\d+)?", row.low)]
    assert row.low.startswith(f"**{verdict}** ")
    size = max(map(abs, values))
    assert shown == pytest.approx([value, low, high], abs=max(0.0051, size / 80))

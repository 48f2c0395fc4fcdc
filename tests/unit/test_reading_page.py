"""A reading of the published results, whose numbers and verdicts are those of their tables."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import log
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import PROJECT
from tests.tiers import PAPER_VALUES
from vaebench.claims.ledger import UNTRAINED
from vaebench.claims.paper import load_paper_values
from vaebench.experiment.tier import load_tier
from vaebench.paths import PUBLISHED
from vaebench.reporting import reading
from vaebench.reporting.reading import MISSING, write_reading
from vaebench.reporting.sweeps import (
    UNKNOWN,
    coverage,
    joined,
    largest_falls,
    sweep,
    units_in_use,
)
from vaebench.results.read import Results, load_results, ranges

EVIDENCE, QUESTIONS, PEERS = (
    load_tier(PROJECT / "config" / f"{name}.yaml")
    for name in ("evidence", "questions-reduced", "peers")
)
READ_ONCE = cache(load_paper_values)
TEMPLATE = Path(reading.__file__).with_name("templates") / "reading.md"
FACTS = (
    r"Burda et al\. \(2016\) print .* with 50 samples\.",
    r"\bn = (2|100)\b",
    r"\(?\b(Eq|Fig)s?\. \d+[a-c]?(, \d+[a-c]?)*\)?",
    r"N\(0, I\)",
    r"images of 0 and 1",
    r"the variance 1\b",
    r"ratio is 1\b|the ratio 1\b|at λ = 1\b",
    r"[Bb]elow 1\b",
    r"half of the encoder's outputs",
    r"two forms|between two records",
    r"the second half of training|The two\s+are one objective",
    r"[Oo]ne objective|one run each|One run|one ratio|one bound|one learned T",
    r"[Oo]ne seed|Runs of one",
    r"a twentieth of the epochs",  # config/reduced.yaml
)
"""What the template may say in numbers: the paper's places and settings, definitions, and what
others print."""
NUMERALS = re.compile(
    r"\d|\b(half|halves|tenth|twentieth|one|two|three|four|five|six|seven|eight|nine|ten)\b",
    re.IGNORECASE,
)


@pytest.fixture(autouse=True)
def _read_paper_values_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "load_paper_values", READ_ONCE)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A copy of what the page is made from, without the runs."""
    for tier in ("paper", "evidence"):
        there = (PROJECT / PUBLISHED).with_name(tier)
        shutil.copytree(there, tmp_path / tier, ignore=shutil.ignore_patterns("runs", "figures"))
    return tmp_path


@pytest.fixture
def results(published: Path) -> Results:
    return load_results(published / "paper")


def write(
    results: Results, page: Path, check: bool = False, paper_values: Path = PAPER_VALUES
) -> list[Path]:
    return write_reading(results, EVIDENCE, QUESTIONS, PEERS, page, check, paper_values)


def page_of(results: Results) -> str:
    """The page, with single spaces."""
    page = results.layout.root.with_name("reading.md")
    write(results, page)
    return " ".join(page.read_text().split())


def change_claims(results: Results, *ids: str, **values: object) -> None:
    """Give lines of the ledger other values."""
    path = results.layout.claims("json")
    ledger = json.loads(path.read_text())
    for line in ledger["claims"]:
        if line["id"] in ids:
            line.update(values)
    path.write_text(json.dumps(ledger))


def change_runs(results: Results, change: Callable[[pd.DataFrame], object]) -> Results:
    """The same results with other runs."""
    runs = results.runs.copy()
    change(runs)
    return replace(results, runs=runs)


def complete(results: Results) -> Results:
    """The same results with a row for each planned run."""
    whole = []
    for experiment in results.tier.experiments:
        planned = results.planned(experiment.name)
        planned["experiment"], planned["status"] = experiment.name, "completed"
        planned["folder"] = [f"{experiment.name}/{k}" for k in range(len(planned))]
        planned["run_hash"] = planned["folder"]
        planned["test_elbo"] = planned["test_elbo_data_units"] = planned["test_rate"] = 1.0
        planned["fitted_prior_trace"], planned["test_active_units"] = 2.0, 2
        whole.append(planned)
    return replace(results, runs=pd.concat(whole, ignore_index=True))


def test_the_page_in_docs_is_up_to_date() -> None:
    results = load_results(PROJECT / PUBLISHED)
    assert write(results, PROJECT / "docs" / "reading.md", check=True) == []


def test_numbers_and_verdicts_follow_the_ledger(results: Results, published: Path) -> None:
    page = published / "reading.md"
    change_claims(results, "fig03-other-dimension", verdict="reproduced")
    assert write(results, page, check=True) == [page]
    assert not page.exists()
    assert write(results, page) == [page]
    assert write(results, page) == []
    before = page.read_text()
    assert "(**not run yet**)" not in before.split("## Evidence and bound")[0]
    change_claims(results, "fig03-other-dimension", verdict="differs")
    assert write(results, page) == [page]
    assert '"lack of correlation" is **reproduced**' in before
    assert '"lack of correlation" is **not reproduced**' in page.read_text()


def test_what_is_not_measured_is_said_to_be_so(results: Results, published: Path) -> None:
    shutil.rmtree(published / "evidence")
    text = page_of(results)
    assert f"in evidence by {MISSING} (**not run yet**) at n = 2" in text
    assert f"| learned variances | 0 | {MISSING} |" in text
    assert "It is measured for the seeds" not in text


def test_the_template_has_no_numbers_of_its_own() -> None:
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", TEMPLATE.read_text(), flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"(?m)^\|.*\|$", "", text)
    for fact in FACTS:
        assert re.search(fact, text), f"the template does not say {fact}"
        text = re.sub(fact, "", text)
    found = [text[max(0, m.start() - 40) : m.end() + 40] for m in NUMERALS.finditer(text)]
    assert found == []


def test_expressions_of_the_template_have_no_numbers_of_results() -> None:
    inside = " ".join(re.findall(r"\{[{%].*?[}%]\}", TEMPLATE.read_text(), flags=re.DOTALL))
    assert re.findall(r"\d+\.\d+", inside) == ["0.5"]  # the power of a root


def test_the_verdicts_of_the_paper_tier_come_first(results: Results) -> None:
    ledger = json.loads(results.layout.claims("json").read_text())["claims"]
    line = next(line for line in ledger if line["id"] == "eq4-trace")
    assert f"the solution is off by {line['value']:.2f} [" in page_of(results)
    change_claims(results, "eq4-trace", verdict="not run", value=None)
    of_evidence = results.layout.root.with_name("evidence") / "claims.json"
    ledger = json.loads(of_evidence.read_text())["claims"]
    other = next(line for line in ledger if line["id"] == "eq4-trace")
    assert f"the solution is off by {other['value']:.2f} [" in page_of(results)


def test_printed_numbers_and_limits_are_those_of_the_paper_values(
    results: Results, tmp_path: Path
) -> None:
    values, page = tmp_path / "values.yaml", tmp_path / "reading.md"
    text = PAPER_VALUES.read_text()
    text = text.replace("values: [-136.5, -135.0, -134.4]", "values: [-999.5, -135.0, -134.4]")
    text = text.replace("values: [2.3]", "values: [0.7]")
    text = text.replace("unit: share of variance\n    within: 0.1", "unit: x\n    within: 0.77")
    values.write_text(text)
    leads = ("fig04a-constant", "fig04a-bilbo")
    change_claims(results, *leads, value=0.6, low=0.1, high=1.2)
    change_claims(results, *(f"fig02-bound-{k}" for k in (1, 2, 3)), low=-139.0, high=-134.0)
    write(results, page, paper_values=values)
    found = " ".join(page.read_text().split())
    assert "the paper's numbers (−999.5, −135.0, −134.4), 2 of 3 lie inside" in found
    assert "Our interval of BILBO excludes a mean of that size, and the other does not." in found
    assert "The margin is 0.77." in found
    assert "Our intervals exclude means of that size." in page_of(results)


def test_falls_follow_the_history(results: Results) -> None:
    def at(objective: str, epoch: int, bound: float) -> Results:
        """The results with another bound of the first seed at an epoch."""
        rows, history = results.of("posterior_variance", objective=objective), results.history
        folder = rows[(rows["latent_dim"] == 2) & (rows["seed"] == 0)]["folder"].iloc[0]
        own = (history["experiment"] == "posterior_variance") & (history["folder"] == folder)
        changed = history["test_elbo"].mask(own & (history["epoch"] == epoch), bound)
        return replace(results, history=history.assign(test_elbo=changed))

    before = page_of(results)
    after = page_of(at("learned", 150, -987.6))
    assert "seed 0 is at −987.6 in epoch 150 and at −13" in after
    assert "−987.6" not in before
    assert "seed 0 is at −987.6 in epoch 200, its last record." in page_of(
        at("learned", 200, -987.6)
    )
    # Before the second half, falls do not count.
    assert page_of(at("learned", 50, -987.6)) == before
    steady = page_of(at("constant", 150, -987.6))
    assert re.search(r" 0 of \d+ runs with learned variances do\.", steady)
    assert "We think that −136.5" not in steady
    assert "We think that −136.5" in after


def test_falls_of_a_run_are_found() -> None:
    tier = load_tier(PROJECT / "config" / "quick.yaml")
    history = pd.DataFrame(
        {
            "experiment": "e",
            "folder": ["a"] * 5 + ["b"] * 5,
            "epoch": [1, 5, 6, 8, 10] * 2,
            "test_elbo": [-1.0, -9.0, -8.0, -8.5, -7.0, -9.0, -8.0, -7.0, -6.0, -9.5],
        }
    )
    runs = pd.DataFrame({"experiment": "e", "folder": ["a", "b"], "seed": [3, 4], "status": "ok"})
    deep, slight = largest_falls(Results(None, tier, runs, history), "e")  # type: ignore[arg-type]
    assert (deep.size, deep.seed, deep.epoch, deep.bound, deep.later) == (3.5, 4, 10, -9.5, None)
    assert (slight.size, slight.seed, slight.epoch, slight.later) == (0.5, 3, 8, (10, -7.0))


def test_sweeps_follow_the_runs(results: Results) -> None:
    def change(runs: pd.DataFrame) -> None:
        name = runs["experiment"]
        taus = (name == "baggins_information") & (runs["tau"] == 2.0)
        runs.loc[taus, "test_rate"] = 77.7
        scales = (name == "baggins_scale") & (runs["data_scale"] == 10.0)
        runs.loc[scales, "test_elbo_data_units"] = 888.0
        collapsed = (name == "gaussian_scale") & (runs["data_scale"] == 3.0)
        runs.loc[collapsed, "test_active_units"] = 1
        runs.loc[(name == "gaussian_scale") & (runs["data_scale"] == 10.0), "test_active_units"] = 2

    before, after = page_of(results), page_of(change_runs(results, change))
    for text in ("to 77.7 nats", "and 888 nats", "1 at λ = 3; 2 at λ = 10"):
        assert text not in before
        assert text in after


def test_only_seeds_with_all_values_count_in_a_sweep(results: Results) -> None:
    known = {"likelihood": "gaussian", "latent_dim": 2}
    first = results.of("gaussian_scale", seed=0, **known)
    other = first[first["data_scale"] == 1.0].assign(seed=99, folder="other", test_elbo=1e6)
    both = replace(results, runs=pd.concat([first, other], ignore_index=True))
    found = sweep(both, "gaussian_scale", "data_scale", "test_elbo", **known)
    assert found is not None
    assert found.means == first.set_index("data_scale")["test_elbo"].to_dict()
    assert (found.seeds, found.span, found.factor) == (1, ("0.1", "10"), "100")
    assert sweep(both, "gaussian_scale", "data_scale", "nothing", **known) is None
    single = replace(results, runs=other)
    assert sweep(single, "gaussian_scale", "data_scale", "test_elbo", **known) is None


def test_a_diverged_run_leaves_no_mean(results: Results) -> None:
    def diverge(runs: pd.DataFrame) -> None:
        rows = (runs["experiment"] == "baggins_information") & (runs["tau"] == 2.0)
        runs.loc[rows, "test_rate"] = float("nan")

    assert f"to {UNKNOWN} nats" in page_of(change_runs(results, diverge))


def test_missing_runs_are_those_planned_and_not_trained(results: Results) -> None:
    for place in coverage(results):
        known = {"likelihood": place.likelihood, "latent_dim": place.n}
        assert place.trained == len(results.of(place.experiment, **known))
        assert place.planned == len(results.planned(place.experiment, **known))
    gone = ["shared_variance", "constant_variance", "latent_scaling", "scaling_control"]
    lacking = replace(results, runs=results.runs[~results.runs["experiment"].isin(gone)])
    before = page_of(lacking)
    assert "48 of its 48 runs are missing." in before
    assert "lack runs" in before
    assert "| `shared_variance` | `gaussian-shared` | 2 | 0 | 3 |" in before
    assert "the standard deviation of the optimal prior" not in before
    after = page_of(complete(results))
    assert "runs are missing" not in after
    assert "lack runs" not in after
    assert "All runs of the paper's grid are published." in after
    assert "the standard deviation of the optimal prior" in after


def test_sentences_on_results_follow_the_verdicts(results: Results) -> None:
    lag = "So learned variances lag, as the paper says."
    collapse = "We think that the lead at n = 100"
    untrained = "meet the limits for the penalty and insensitivity too"
    evidence = load_results(results.layout.root.with_name("evidence"))
    lags = ("fig04a-constant-lag", "fig04a-bilbo-lag")
    units = ("beside-fig04b-bilbo-units", "beside-fig04b-bound-units")
    change_claims(results, *lags, *units, verdict="reproduced")
    change_claims(evidence, "eq7-smooth", reason="")
    change_claims(
        evidence, "eq21-insensitive", "eq22-small", reason=f"it holds; {UNTRAINED}, so it does"
    )
    before = page_of(results)
    assert all(text in before for text in (lag, collapse, untrained))
    change_claims(results, lags[0], units[0], verdict="inconclusive")
    change_claims(evidence, "eq21-insensitive", reason="it holds")
    after = page_of(results)
    assert not any(text in after for text in (lag, collapse, untrained))
    assert (
        "meet the limit for the penalty too, at n = 2. So this verdict alone proves little."
        in after
    )


def test_why_a_claim_fails_is_told_only_if_it_does(results: Results) -> None:
    why = "the untrained network does not scale with the data"
    for verdict in ("differs", "reproduced", "inconclusive", "not run"):
        change_claims(results, "fig06b-bound", verdict=verdict)
        assert (why in page_of(results)) == (verdict == "differs")


def test_learned_t_is_told_once_it_is_judged(results: Results) -> None:
    claim = "reaches a larger bound than learned variances with one learned T is"
    ids = ("abstract-improved-bound", "fig06a-residual-low")
    change_claims(results, *ids, verdict="not run", value=None, low=None, high=None)
    before = page_of(results)
    assert f"{claim} **not run yet**. " in before
    assert "mean image is reconstructed is **not run yet**," in before
    change_claims(
        results, ids[0], verdict="reproduced", value=12.3, low=11.0, high=13.0,
        seeds=3,
    )  # fmt: skip
    parts = {"data_scale 1": [0.5]}
    change_claims(results, ids[1], verdict="differs", value=0.5, seeds=1, parts=parts)
    after = page_of(results)
    assert f"{claim} **reproduced** (12.30 [11.00, 13.00], 3 seeds)" in after
    assert "mean image is reconstructed is **not reproduced** (0.50, 1 seed, data_scale 1)" in after


def test_log_ratios_are_shown_as_factors(results: Results) -> None:
    change_claims(
        results, "fig06a-small-scale", value=log(8), low=log(4), high=log(16), seeds=3
    )  # fmt: skip
    parts = {"data_scale 1": [0.4, 0.5, 0.6]}
    change_claims(
        results, "fig06a-residual", value=0.5, low=0.25, high=0.75, seeds=3, parts=parts
    )  # fmt: skip
    page = page_of(results)
    assert "(× 8.00 [4.00, 16.00], 3 seeds)" in page
    assert "(0.50 [0.25, 0.75], 3 seeds, data_scale 1)" in page


def test_texts_of_lists() -> None:
    assert ranges([12, 0, 1, 2, 10, 11, 5]) == "0 to 2, 5, 10 to 12"
    assert ranges([3, 0, 1]) == "0, 1, 3"
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"


def test_no_units_without_runs(results: Results) -> None:
    assert units_in_use(results, "gaussian_scale", likelihood="none") == ""

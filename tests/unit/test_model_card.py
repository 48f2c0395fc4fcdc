"""The model card has the numbers of the record, and says what they cannot say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT
from tests.registries import registries_apart
from vaebench.api.card import MISSING, model_card
from vaebench.experiment.plugins import load_plugins
from vaebench.paths import PUBLISHED, Layout
from vaebench.runs.record import RunRecord, read_record

RUNS = Layout(PROJECT / PUBLISHED).root / "runs"
BILBO = RUNS / "posterior_variance/objective~bilbo/latent_dim~2/seed~0/metrics.json"
BAGGINS = RUNS / "baggins_information/latent_dim~2/seed~0/tau~0.2/metrics.json"


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return read_record(BILBO)


def rows(card: str) -> dict[str, list[str]]:
    """The cells of each row of a table, by its first cell."""
    lines = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("|")]
    return {first.strip("`"): rest for first, *rest in lines}


def test_it_has_the_settings_metrics_and_digests_of_the_record(record: RunRecord) -> None:
    card = model_card(record, (28, 28), "Teaching.", "CC BY", "mit", "me@example.org")
    found = rows(card)
    assert found["objective"] == ["bilbo"]
    assert found["elbo"] == [f"{x:.4g}" for x in (record.final.train.elbo, record.final.test.elbo)]
    assert found["weights"] == [f"`{record.digests.weights}`"]
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["license"] == "mit"
    assert header["tags"] == ["variational-autoencoder", "mnist", "bilbo"]
    assert "[16, 28, 28]" in card
    for text in ("Teaching.", "CC BY", "me@example.org"):
        assert text in card
    assert MISSING not in card
    assert model_card(record, (28, 28)).count(MISSING) == 3


def changed(record: RunRecord, **settings: Any) -> RunRecord:
    return record.model_copy(update={"run": record.run.model_copy(update=settings)})


def test_it_says_where_the_numbers_end(record: RunRecord) -> None:
    grey = "is not a log-likelihood"
    assert grey in model_card(record, (28, 28))
    assert grey not in model_card(changed(record, dataset="binarized-mnist"), (28, 28))
    baggins = read_record(BAGGINS)
    assert f"T = {baggins.final.likelihood_variance:.4g}" in model_card(baggins, (28, 28))
    assert "may not be published" in model_card(changed(record, dataset="celeba"), (64, 64, 3))
    diverged = record.model_copy(update={"status": "diverged", "diverged_step": 40})
    card = model_card(diverged, (28, 28))
    assert "diverged at step 40" in card
    assert not re.search(r"^\| `elbo`", card, re.MULTILINE)


def code_of(card: str) -> str:
    return card.split("```python\n")[1].split("```")[0]


def test_its_code_suits_conditional_models_and_plugins(record: RunRecord, tmp_path: Path) -> None:
    assert "load_plugins" not in code_of(model_card(record, (28, 28)))
    conditional = changed(record, objective="conditional")
    code = code_of(model_card(conditional, (28, 28)))
    assert "completed = run.complete(images)" in code
    assert "images = np.zeros((1, 28, 28))" in code
    (tmp_path / "helper.py").write_text("def mine(batch):\n    return batch.kl.mean(-1)\n")
    file = tmp_path / "my_card.py"
    file.write_text(
        "from helper import mine\nfrom vaebench import objective\n"
        "objective(name='it: mine')(mine)\n"
    )
    with registries_apart():
        load_plugins([file])
        card = model_card(changed(record, objective="it: mine"), (28, 28), licence="it's mine")
    assert 'vaebench.load_plugins(["my_card.py"])' in code_of(card)
    assert "and `my_card.py`, `helper.py` beside your program:" in card
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["tags"][-1] == "it: mine"
    assert header["license"] == "it's mine"

"""The examples of docs/objectives.md and of the README, run as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import PROJECT
from tests.packs import MakeSettings, train_steps
from tests.registries import registries_apart
from vaebench.data.prepared import Arrays
from vaebench.data.registry import DATASETS
from vaebench.execution.check_objective import check_objective
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.tier import load_tier
from vaebench.likelihoods import LIKELIHOODS
from vaebench.objectives import OBJECTIVES

PAGE = (PROJECT / "docs" / "objectives.md").read_text()
BLOCKS = dict(re.findall(r"^```python\n# ([\w.]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(autouse=True)
def _apart() -> Iterator[None]:
    with registries_apart():
        yield


def load(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    load_plugins([folder / name])


@pytest.mark.parametrize("name", BLOCKS)
def test_an_example_trains(
    tmp_path: Path, settings: MakeSettings, digits: Arrays, name: str
) -> None:
    before = set(OBJECTIVES), set(LIKELIHOODS), set(DATASETS)
    load(tmp_path, name, BLOCKS[name])
    runs = [settings(objective=objective) for objective in set(OBJECTIVES) - before[0]]
    runs += [settings(likelihood=likelihood) for likelihood in set(LIKELIHOODS) - before[1]]
    assert runs
    for run in runs:
        check_objective([run], digits, torch.device("cpu"))
        pack, state = train_steps([run], digits, 5)
        assert pack.evaluate(state.parameters, "test").objective.isfinite().all()
    for dataset in set(DATASETS) - before[2]:
        arrays = DATASETS[dataset].prepare(dataset, tmp_path, [], tmp_path)
        assert arrays.train_images.shape == (600, 8, 8)


def test_the_readmes_example_trains(tmp_path: Path, settings: MakeSettings, digits: Arrays) -> None:
    text = (PROJECT / "README.md").read_text().split("## Try your own objective")[1]
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", text.split("\n## ")[0], re.MULTILINE | re.DOTALL
    )
    load(tmp_path, "my_vae.py", block)
    check_objective([settings(objective="my-vae", weight=4)], digits, torch.device("cpu"))


def test_the_config_of_the_page_is_accepted(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "my_vae.py").write_text(BLOCKS["my_vae.py"])
    (tmp_path / "mine.yaml").write_text(block)
    assert len(load_tier(tmp_path / "mine.yaml").runs) == 6


def test_the_page_lists_every_objective() -> None:
    table = PAGE.split("## The objectives that are here")[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| `")
    ]
    named = {name.strip("`"): rest for name, _, *rest in rows}
    assert set(named) == set(OBJECTIVES)
    for name, objective in OBJECTIVES.items():
        own = set(objective.parameters)
        if "constant" in objective.posterior[0]:
            own |= {"posterior_std"}
        if objective.conditioning is not None:
            own |= {"observed"}
        parameters, choices = named[name]
        assert set(re.findall(r"`(\w+)`", parameters)) == own
        several = any(len(allowed) > 1 for allowed in (objective.posterior, objective.prior))
        allowed = "; ".join(
            ", ".join(f"`{one}`" for one in each) for each in (objective.posterior, objective.prior)
        )
        assert choices == (allowed if several else ""), name

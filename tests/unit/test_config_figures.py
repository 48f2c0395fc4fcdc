"""Which experiments of a config a figure shows, and what is compared with what."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.test_config import small, write
from vaebench.errors import UserError
from vaebench.experiment.comparison import comparison_of
from vaebench.experiment.figures import runs_to_show
from vaebench.experiment.tier import Tier, load_tier


def test_a_figure_refuses_an_axis_that_it_cannot_show(tmp_path: Path) -> None:
    values = small()
    values["experiments"][0]["axes"]["latent_scale"] = [1, 2]
    load_tier(write(tmp_path, values))  # four methods
    values["figures"] = ["fig12"]
    with pytest.raises(UserError, match=r"fig12 needs .* differ in latent_scale, which cannot be"):
        load_tier(write(tmp_path, values))
    values["figures"] = ["fig04"]
    values["experiments"][0]["axes"]["latent_scale"] = [1, 2, 3, 4, 5, 6]
    with pytest.raises(UserError, match="compares 12 kinds of runs, and 10 can be told apart"):
        load_tier(write(tmp_path, values))


@pytest.mark.parametrize(
    ("objectives", "drawn"),
    [
        (["bilbo"], ("bilbo", "bilbo")),
        (["bilbo", "constant"], ("constant", "bilbo")),
        (["constant", "learned"], ("learned", "constant")),
        (["bilbo", "constant", "learned"], ("learned", "bilbo")),
    ],
)
def test_a_figure_takes_any_experiment_that_has_its_runs(
    objectives: list[str], drawn: tuple[str, str]
) -> None:
    values = small()
    values["experiments"][0]["name"] = "my-comparison"
    values["experiments"][0]["axes"]["objective"] = objectives
    values["figures"] = ["fig02", "fig04", "fig05", "fig12", "fig13"]
    tier = Tier.model_validate(values)
    found = [runs_to_show(name, tier.experiments)[0] for name in ("fig12", "fig13")]
    assert [f and f.experiment.name for f in found] == ["my-comparison"] * 2
    assert [f and f.settings["objective"] for f in found] == list(drawn)
    # The paper's name comes first, wherever it stands.
    values["experiments"].append(deepcopy(values["experiments"][0]) | {"name": "second"})
    values["experiments"].append(values["experiments"][0] | {"name": "posterior_variance"})
    for names in (["my-comparison", "second", "posterior_variance"], ["my-comparison", "second"]):
        experiments = Tier.model_validate(values).experiments[: len(names)]
        (first,) = runs_to_show("fig04", experiments)
        assert first
        assert first.experiment.name == (names[2] if len(names) > 2 else names[0])


def test_a_figure_of_several_parts_needs_one_of_them() -> None:
    values = small()
    experiment = values["experiments"][0]
    experiment["settings"] |= {"likelihood": "gaussian", "objective": "bilbo"}
    experiment["axes"] = {"data_scale": [1, 2], "seed": [0], "latent_dim": [2]}
    values["figures"] = ["fig06", "fig10"]
    found = runs_to_show("fig06", Tier.model_validate(values).experiments)
    assert [f is not None for f in found] == [False, True, False, False]
    experiment["axes"]["data_scale"] = [1]
    with pytest.raises(ValidationError, match=r"fig06 needs .* do not differ in data_scale"):
        Tier.model_validate(values)


@pytest.mark.parametrize(
    ("axes", "baseline", "expected"),
    [
        ({"beta": [1, 2], "objective": ["a", "b"], "seed": [0, 1]}, None, ("objective", "a")),
        ({"beta": [1, 2], "objective": ["a", "b"], "seed": [0, 1]}, 2, ("beta", 2)),
        ({"latent_dim": [2, 9], "tau": [0.5, 1.0], "objective": ["a"]}, None, ("tau", 0.5)),
        ({"objective": ["a", "b"], "precision": ["x", "y"]}, "y", ("precision", "y")),
        ({"likelihood": ["a", "b"], "seed": [0, 1], "latent_dim": [2, 9]}, None, None),
    ],
)
def test_what_is_compared_with_what(
    axes: dict[str, list[Any]], baseline: Any, expected: tuple[str, Any] | None
) -> None:
    found = comparison_of(axes, baseline)
    assert (found and (found.axis, found.baseline)) == expected
    with pytest.raises(ValueError, match="baseline: 'z' is no value of an axis"):
        comparison_of(axes, "z")

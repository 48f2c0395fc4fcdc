"""Mistakes in a config, told by the key, what is wrong, and what was found."""

from typing import Any

import pytest

from vaebench.cli.say import say
from vaebench.errors import UserError
from vaebench.experiment.tier import load_tier
from vaebench.plain_text import on_one_line
from vaebench.yaml_text import to_yaml

SETTINGS: dict[str, Any] = {
    "dataset": "digits", "likelihood": "bernoulli", "objective": "learned", "latent_dim": 2,
    "epochs": 1, "batch_size": 50, "learning_rate": 0.1, "network": "mlp", "hidden_units": 4,
    "hidden_layers": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"settings": SETTINGS | {"epochs": [[2]]}},
            ["experiments.0.settings.epochs: should be a text or a number (found [[2]])"],
        ),
        (
            {"settings": SETTINGS | {"steps": ["x" * 100]}},
            [f"experiments.0.settings.steps: should be a text or a number (found ['{'x' * 58}...)"],
        ),
        (
            {"dependence": {"draws": 4}},
            [
                "experiments.0.dependence.draws: Input should be greater than or equal to 25 "
                "(found 4)"
            ],
        ),
        (
            {"dependence": 4},
            ["experiments.0.dependence: should be a mapping of keys and values (found 4)"],
        ),
        (
            {"name": "Upper case", "axes": {"seed": [[1]]}},
            [
                "experiments.0.name: should be one name of lower-case letters and digits, joined "
                "by hyphens (found 'Upper case')",
                "experiments.0.axes.seed.0: should be a text or a number (found [1])",
            ],
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(tmp_path: Any, changes: dict[str, Any], lines: list[str]) -> None:
    experiment = {"name": "one", "settings": SETTINGS, "axes": {"seed": [0]}} | changes
    path = tmp_path / "small.yaml"
    path.write_text(to_yaml({"tier": "small", "figures": [], "experiments": [experiment]}))
    with pytest.raises(UserError) as caught:
        load_tier(path)
    assert str(caught.value).splitlines() == [f"{path} is refused:", *lines]


def test_names_of_files_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("new\nline\x1b[31m/Σ\u202e")
    assert capsys.readouterr().out == "new\nline\\x1b[31m/Σ\\u202e\n"
    assert on_one_line("new\nline\x1b[31m") == "new\\nline\\x1b[31m"

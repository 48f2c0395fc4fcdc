"""Every command on a tier takes `--tier`: a name, a config file or a folder."""

from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from vaebench.cli import app
from vaebench.experiment.tier import dump_tier, find_layout, find_tier, load_tier
from vaebench.paths import CONFIGS, Layout

ON_A_TIER = {
    *(
        "run",
        "classifier",
        "evaluate",
        "evidence",
        "equations",
        "latent",
        "dependence",
        "config",
        "data",
        "collect",
        "draw",
        "table",
        "claims",
        "report",
    ),
    *("pages", "manifest", "verify", "export", "push", "pull", "tidy"),
}


def test_every_command_on_a_tier_names_it_in_the_same_way() -> None:
    commands = getattr(get_command(app), "commands")  # noqa: B009
    options = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in commands.items()
    }
    assert {name for name in commands if "--tier" in options[name]} == ON_A_TIER
    others = {"--results", "--folder", "--config", "path", "tiers"}
    assert not {name for name in commands if options[name] & others}


def test_a_name_a_config_and_a_folder_are_the_same_tier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = load_tier(CONFIGS / "quick.yaml")
    monkeypatch.chdir(tmp_path)
    for path in (find_tier("quick"), find_tier("results/quick"), Path("mine.yaml")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump_tier(tier, path.parent))
    for name in ("quick", "results/quick", "results/quick/", "mine.yaml", "config/quick.yaml"):
        assert load_tier(find_tier(name)) == tier
        assert find_layout(name) == Layout.of("quick")
    assert find_layout("results/published/paper").root == Path("results/published/paper")


def test_results_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command, path in (
        (["draw", "fig01"], "results/quick/config.yaml"),
        (["verify"], "results/quick has no manifest.json"),
    ):
        result = CliRunner().invoke(app, [*command, "--tier", "quick"])
        assert path in str(result.exception)

"""A folder of results belongs to one config file."""

from pathlib import Path

import pytest
import yaml

from vaebench.errors import UserError
from vaebench.experiment.owner import check_owner, claim_results
from vaebench.experiment.tier import Tier, dump_tier, load_tier
from vaebench.paths import Layout

SETTINGS = {
    "dataset": "digits", "likelihood": "bernoulli", "epochs": 1, "network": "mlp",
    "hidden_units": 8, "hidden_layers": 1, "batch_size": 300, "learning_rate": 0.001,
    "latent_dim": 2,
}  # fmt: skip


def write(path: Path, seeds: int, tier: str = "mine") -> Tier:
    axes = {"objective": ["learned"], "seed": list(range(seeds))}
    experiment = {"name": "plain", "settings": SETTINGS, "axes": axes}
    values = {"tier": tier, "experiments": [experiment], "figures": []}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_tier(path)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Results that belong to `first.yaml`."""
    monkeypatch.chdir(tmp_path)
    layout = Layout.of("mine")
    tier = write(Path("first.yaml"), seeds=2)
    claim_results(tier, Path("first.yaml"), layout)
    layout.config.write_text(dump_tier(tier, layout.root), encoding="utf-8")
    return layout


def test_a_copied_config_does_not_replace_the_results_of_the_first(layout: Layout) -> None:
    second = write(Path("second.yaml"), seeds=3)
    with pytest.raises(UserError, match=r"belongs to first\.yaml.*give second\.yaml a `tier:`"):
        claim_results(second, Path("second.yaml"), layout)
    assert layout.owner.read_text("utf-8") == "first.yaml\n"
    layout.owner.unlink()  # the remedy that the message names
    claim_results(second, Path("second.yaml"), layout)
    layout.config.write_text(dump_tier(second, layout.root), encoding="utf-8")
    with pytest.raises(UserError, match=r"belongs to second\.yaml"):
        check_owner(load_tier(Path("first.yaml")), Path("first.yaml"), layout)


def test_the_same_file_by_another_name_and_a_copy_without_changes_are_let_in(
    layout: Layout, tmp_path: Path
) -> None:
    tier = load_tier(Path("first.yaml"))
    Path("copy.yaml").write_bytes(Path("first.yaml").read_bytes())
    Path("link.yaml").symlink_to("first.yaml")
    for path in (Path("copy.yaml"), Path("link.yaml"), tmp_path / "first.yaml", layout.config):
        claim_results(tier, path, layout)
        assert layout.owner.read_text("utf-8") == "first.yaml\n"


def test_a_config_can_be_renamed_and_give_its_results_away(layout: Layout) -> None:
    Path("first.yaml").rename("renamed.yaml")
    claim_results(write(Path("renamed.yaml"), seeds=4), Path("renamed.yaml"), layout)
    assert layout.owner.read_text("utf-8") == "renamed.yaml\n"
    write(Path("renamed.yaml"), seeds=4, tier="other")
    claim_results(write(Path("new.yaml"), seeds=1), Path("new.yaml"), layout)
    assert layout.owner.read_text("utf-8") == "new.yaml\n"


def test_an_owner_that_cannot_be_read_keeps_its_results(layout: Layout) -> None:
    Path("first.yaml").write_text("tier: [", encoding="utf-8")
    with pytest.raises(UserError, match=r"belongs to first\.yaml"):
        claim_results(write(Path("second.yaml"), seeds=3), Path("second.yaml"), layout)


def test_checking_writes_nothing_and_a_file_elsewhere_is_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    config, layout = tmp_path / "elsewhere.yaml", Layout.of("mine")
    tier = write(config, seeds=1)
    assert check_owner(tier, config, layout)
    assert not layout.root.exists()
    claim_results(tier, config, layout)
    assert layout.owner.read_text("utf-8") == f"{config}\n"

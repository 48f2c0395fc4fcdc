"""dvc.yaml names what each tier of config/ has, and nothing that it lacks."""

from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from vaebench.data.registry import DATASETS
from vaebench.experiment.tier import Tier, load_tier
from vaebench.paths import Layout
from vaebench.provenance.expected import expected_files

PIPELINE = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
TIERS = {
    tier.tier: tier
    for path in (PROJECT / "config").glob("*.yaml")
    if "experiments:" in path.read_text()
    for tier in [load_tier(path)]
}
OF_TIERS = {name: stage for name, stage in PIPELINE.items() if name != "data"}


def outputs(tier: str) -> dict[str, dict[str, bool]]:
    """The outputs of all stages of a tier with their flags, by their names in its folder."""
    entries = [
        entry
        for stage in OF_TIERS.values()
        if tier in stage["foreach"]
        for entry in (*stage["do"]["outs"], *stage["do"].get("metrics", []))
    ]
    return {
        name.removeprefix("results/${item}/"): flags
        for entry in entries
        for name, flags in entry.items()
    }


def top_names(tier: Tier) -> set[str]:
    """What lies in the folder of a tier when it is finished."""
    names = {Path(name).parts[0] for name in expected_files(tier, Layout(Path("nowhere")))}
    names |= {"manifest.json", "runs", "weights", "codes"}
    return names | ({"classifiers"} if any(e.sample_quality for e in tier.experiments) else set())


@pytest.mark.parametrize("name", TIERS)
def test_the_stages_of_a_tier_have_all_of_its_outputs(name: str) -> None:
    assert set(outputs(name)) == top_names(TIERS[name])
    assert all(flags["persist"] for flags in outputs(name).values())


@pytest.mark.parametrize("name", TIERS)
def test_no_image_of_a_tier_gets_into_git(name: str) -> None:
    """The page shows the figures, and the codes have samples."""
    in_git = {path for path, flags in outputs(name).items() if flags.get("cache") is False}
    assert {Path(path).suffix for path in in_git - {"tables"}} <= {".yaml", ".json", ".md", ".csv"}


def test_every_stage_is_of_what_exists() -> None:
    for stage in OF_TIERS.values():
        assert set(stage["foreach"]) <= set(TIERS)
        assert stage["do"]["cmd"] == "snakemake --cores all --configfile config/${item}.yaml"
    # The images of celeba-folder are a user's own.
    assert set(PIPELINE["data"]["foreach"]) == set(DATASETS) - {"celeba-folder"}

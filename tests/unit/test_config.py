import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tests.conftest import PROJECT
from vaebench.claims.paper import own_claims
from vaebench.errors import UserError
from vaebench.experiment.grid import expand
from vaebench.experiment.jobs import job_rules
from vaebench.experiment.tier import Tier, dump_tier, load_tier
from vaebench.paths import Layout
from vaebench.reporting.config_reference import config_reference
from vaebench.workflow.rules import check_claims, tier_file

TIERS = [
    PROJECT / "config" / f"{name}.yaml"
    for name in (
        "paper",
        "smoke",
        "quick",
        "reduced",
        "controls",
        "questions",
        "questions-reduced",
        "celeba",
        "celeba-10k",
    )
]


def small() -> dict[str, Any]:
    return {
        "tier": "small",
        "experiments": [
            {
                "name": "posterior_variance",
                "settings": {
                    "dataset": "digits",
                    "likelihood": "bernoulli",
                    "epochs": 1,
                    "batch_size": 50,
                    "learning_rate": 0.001,
                    "network": "mlp",
                    "hidden_units": 8,
                    "hidden_layers": 1,
                },
                "axes": {"objective": ["learned", "bilbo"], "latent_dim": [2, 3], "seed": [0, 1]},
            }
        ],
        "figures": ["fig05"],
    }


def write(tmp_path: Path, values: dict[str, Any]) -> Path:
    path = tmp_path / "tier.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["experiments", 0, "axes", "objectives"], ["bilbo"], "'objectives' is not a setting"),
        (["surprise"], 1, "surprise: Extra inputs"),
        (["experiments", 0, "axes", "seed"], [], "experiments.0.axes.seed: List should have"),
        (["experiments", 0, "axes", "latent_dim"], [0], "axes.latent_dim: Input should be greater"),
        (["experiments", 0, "axes", "latent_dim"], [2.5], "axes.latent_dim: Input should be"),
        (["experiments", 0, "axes", "seed"], [1, 1], "names a value twice"),
        (
            ["experiments", 0, "settings", "posterior_std"],
            0,
            "posterior_std should be greater than 0",
        ),
        (["experiments", 0, "settings", "posterior_std"], -1.0, "(found -1.0)"),
        (["experiments", 0, "settings", "seed"], 3, "both a setting and an axis"),
        (["experiments", 0, "settings", "data_scale"], 2.0, "takes 'data_scale'"),
        (["experiments", 0, "packed"], ["latent_dim"], "cannot be packed"),
        (["experiments", 0, "packed"], ["posterior_std"], "not among the axes"),
        (["experiments", 0, "name"], "Bad Name", "should be one name of lower-case letters"),
        (["experiments"], [], "experiments: List should have"),
        (["figures"], ["fig99"], "'fig99' is not one of"),
        (["execution"], {"threads": 0}, "execution.threads"),
        (["execution"], {"threads": 100_000}, "execution.threads: Input should be less than"),
        (["experiments", 0, "settings", "epochs"], 10**23, "epochs: Input should be less than"),
        (["experiments", 0, "axes", "seed"], [2**63], "axes.seed: Input should be less than"),
        (["execution"], {"device": "tpu"}, "execution.device"),
        (["tier"], None, "tier: Input should be a valid string"),
    ],
)
def test_a_bad_config_is_refused_with_the_path_of_the_key(
    tmp_path: Path, place: list[Any], value: object, message: str
) -> None:
    values = small()
    target: Any = values
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(UserError) as error:
        load_tier(write(tmp_path, values))
    assert message in str(error.value)
    assert "tier.yaml" in str(error.value)


def test_two_experiments_of_one_name_are_refused(tmp_path: Path) -> None:
    values = small()
    values["experiments"].append(deepcopy(values["experiments"][0]))
    with pytest.raises(UserError, match="two experiments are named 'posterior_variance'"):
        load_tier(write(tmp_path, values))


def test_a_figure_without_its_runs_is_refused(tmp_path: Path) -> None:
    values = small()
    values["figures"] = ["fig03"]
    values["experiments"][0]["axes"]["latent_dim"] = [3]
    wanted = (
        "fig03 needs runs with objective learned, latent_dim 2.*'posterior_variance' has no run"
    )
    with pytest.raises(UserError, match=wanted):
        load_tier(write(tmp_path, values))


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tier.yaml"
    path.write_text("tier: a\ntier: b\n")
    with pytest.raises(UserError, match="'tier' twice"):
        load_tier(path)


@pytest.mark.parametrize("text", ["a: [", "", "- 1\n", "{[a]: 1}"])
def test_a_file_that_is_no_tier_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tier.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"tier\.yaml"):
        load_tier(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E-3", 1e-3),
        ("2.5e+1", 25.0),
        (".5e1", 5.0),
        ("1.e-2", 0.01),
        ("1e3", 1e3),
    ],
)
def test_a_number_may_have_an_exponent(tmp_path: Path, text: str, value: float) -> None:
    path = write(tmp_path, small())
    path.write_text(path.read_text().replace("learning_rate: 0.001", f"learning_rate: {text}"))
    (cell, *_) = expand(load_tier(path).experiments[0])
    assert cell.shared.learning_rate == value


def test_a_name_that_looks_like_a_number_stays_a_name(tmp_path: Path) -> None:
    path = write(tmp_path, small())
    path.write_text(path.read_text().replace("tier: small", "tier: '1e5'"))
    tier = load_tier(path)
    assert tier.tier == "1e5"
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_tier(tier, copy.parent))
    assert load_tier(copy) == tier
    # What is no number of YAML 1.2 stays a text, and is refused as one.
    path.write_text(path.read_text().replace("learning_rate: 0.001", "learning_rate: 1e-3x"))
    with pytest.raises(UserError, match=r"learning_rate: .*\(found '1e-3x'\)"):
        load_tier(path)


@pytest.mark.parametrize("path", TIERS, ids=lambda path: path.stem)
def test_a_resolved_tier_reads_back_as_itself(tmp_path: Path, path: Path) -> None:
    tier = load_tier(path)
    copy = tmp_path / "config.yaml"
    copy.write_text(dump_tier(tier, tmp_path))
    assert load_tier(copy) == tier


def test_the_reduced_tier_has_every_figure_and_experiment_of_the_paper() -> None:
    paper, smoke = (load_tier(path) for path in TIERS[:2])
    assert set(smoke.figures) > set(paper.figures)
    assert {e.name for e in smoke.experiments} > {e.name for e in paper.experiments}


def test_a_key_that_a_tier_leaves_out_is_not_filled_from_anywhere() -> None:
    values = yaml.safe_load(TIERS[1].read_text())
    for key, message in {
        "network": "settings.network: Field required",
        "hidden_units": "network 'mlp' needs hidden_units",
        "hidden_layers": "network 'mlp' needs hidden_layers",
        "batch_size": "settings.batch_size: Field required",
        "learning_rate": "settings.learning_rate: Field required",
        "epochs": "give epochs or steps",
    }.items():
        missing = deepcopy(values)
        del missing["experiments"][0]["settings"][key]
        with pytest.raises(ValidationError, match=message):
            Tier.model_validate(missing)


def test_claims_of_a_tier_are_read_from_their_file_and_checked(tmp_path: Path) -> None:
    claim = {
        "id": "mine", "says": "it is better", "statistic": "bound_difference", "unit": "nats",
        "arguments": {"of": "bilbo", "minus": "learned", "n": "low"}, "above": 0.0,
    }  # fmt: skip
    values = small() | {"claims": "my_claims.yaml"}
    path, claims = write(tmp_path, values), tmp_path / "my_claims.yaml"
    with pytest.raises(UserError, match=r"claims: cannot read .*my_claims\.yaml"):
        load_tier(path)
    claims.write_text(yaml.safe_dump([claim]))
    with pytest.raises(UserError, match="has to have one key, `claims`"):
        load_tier(path)
    claims.write_text(yaml.safe_dump({"claims": [claim]}))
    tier = load_tier(path)
    assert [each.id for each in own_claims(tier)] == ["mine"]
    copy = tmp_path / "resolved.yaml"
    copy.write_text(dump_tier(tier, copy.parent))
    claims.unlink()
    assert load_tier(copy) == tier, "the resolved config needs the file"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"statistic": "none"}, r"claims\.0: statistic 'none' is not one of"),
        ({"experiment": "other"}, "has no experiment 'other'"),
    ]
    for change, message in wrong:
        with pytest.raises(UserError, match=message):
            check_claims(Tier.model_validate(values | {"claims": [claim | change]}))
    with pytest.raises(UserError, match="two claims have the id 'mine'"):
        check_claims(Tier.model_validate(values | {"claims": [claim, claim]}))


def test_an_experiment_without_seeds_or_job_axes_is_possible() -> None:
    values = small()
    experiment = values["experiments"][0]
    experiment["settings"] |= {"objective": "bilbo", "latent_dim": 2}
    experiment["axes"] = {"seed": [0, 1]}
    values["figures"] = []
    packed = Tier.model_validate(values).experiments[0]
    (part,) = job_rules(packed)
    assert part.pattern == "."
    assert part.run_patterns == ["seed~0", "seed~1"]
    assert Layout.of("small").log(f"train/a/{part.pattern}").name == "a.log"
    experiment["settings"] |= {"seed": 0}
    del experiment["settings"]["epochs"]
    experiment["axes"] = {"epochs": [1, 2]}
    alone = Tier.model_validate(values).experiments[0]
    assert alone.packed == []
    assert [len(cell.runs) for cell in expand(alone)] == [1, 1]


def test_snakemake_takes_one_file_and_no_values(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    values = yaml.safe_load(TIERS[1].read_text())
    assert tier_file([TIERS[1]], values) == tier_file([str(TIERS[1])], values) == TIERS[1]
    assert tier_file([], {}) == Path("config/paper.yaml")
    with pytest.raises(UserError, match=r"one\.yaml and two\.yaml"):
        tier_file([one, two], values)
    for changed in ({"epochs": 3}, {"tier": "other"}):
        with pytest.raises(UserError, match=rf"--config \({next(iter(changed))}\) is not taken"):
            tier_file([TIERS[1]], values | changed)
        with pytest.raises(UserError, match="is not taken"):
            tier_file([], changed)


def test_the_schema_is_in_step() -> None:
    committed = json.loads((PROJECT / "config" / "schema.json").read_text())
    assert committed == Tier.model_json_schema(), "run `make schema`"
    reference = (PROJECT / "docs" / "config.md").read_text()
    assert reference == config_reference(), "run `make schema`"


def test_the_grid_follows_the_order_of_the_config() -> None:
    (experiment,) = Tier.model_validate(small()).experiments
    cells = expand(experiment)
    assert [cell.folder.as_posix() for cell in cells] == [
        "objective~learned/latent_dim~2",
        "objective~learned/latent_dim~3",
        "objective~bilbo/latent_dim~2",
        "objective~bilbo/latent_dim~3",
    ]
    assert [run.folder.name for run in cells[0].runs] == ["seed~0", "seed~1"]
    (part,) = job_rules(experiment)
    assert part.pattern == "objective~{objective}/latent_dim~{latent_dim}"
    assert part.run_patterns[1] == f"{part.pattern}/seed~1"
    assert part.constraints == {"objective": "learned|bilbo", "latent_dim": "2|3"}


@pytest.mark.parametrize("packed", [["seed"], ["posterior_std", "seed"]])
def test_an_axis_is_left_out_for_objectives_that_do_not_take_it(packed: list[str]) -> None:
    values = small()
    experiment = values["experiments"][0]
    experiment["axes"] = {
        "objective": ["learned", "bilbo"],
        "latent_dim": [2, 3],
        "posterior_std": [0.1, 1.0],
        "seed": [0, 1],
    }
    experiment["packed"] = packed
    values["figures"] = []
    loaded = Tier.model_validate(values).experiments[0]
    runs = [run for cell in expand(loaded) for run in cell.runs]
    learned = [run for run in runs if run.settings.objective == "learned"]
    assert [run.folder.as_posix() for run in learned] == [
        f"objective~learned/latent_dim~{n}/seed~{seed}" for n in (2, 3) for seed in (0, 1)
    ]
    assert len(runs) == 4 + 8
    # A rule for each shape of path, together all runs and none twice.
    learn, bilbo = job_rules(loaded)
    assert (learn.name, bilbo.name) == ("posterior_variance", "posterior_variance__2")
    assert [part.constraints["objective"] for part in (learn, bilbo)] == ["learned", "bilbo"]
    assert ("posterior_std" in bilbo.pattern) == ("posterior_std" not in packed)
    packs = [pack for rule in (learn, bilbo) for job in rule.jobs for pack in job.blocks]
    assert sum(len(pack.runs) for pack in packs) == len(runs)


def test_an_override_on_an_axis_that_a_run_does_not_take_is_not_for_it() -> None:
    values = small()
    experiment = values["experiments"][0]
    epochs = experiment["settings"]["epochs"]
    experiment["overrides"] = [{"when": {"posterior_std": 0.1}, "settings": {"epochs": 7}}]
    values["figures"] = []
    for stds in ([0.1, 1.0], [1.0, 0.1]):
        experiment["axes"] = {
            "objective": ["learned", "bilbo"], "latent_dim": [2], "posterior_std": stds,
            "seed": [0],
        }  # fmt: skip
        loaded = Tier.model_validate(values).experiments[0]
        found = {
            (run.settings.objective, run.settings.get("posterior_std")): run.settings.epochs
            for cell in expand(loaded)
            for run in cell.runs
        }
        assert found == {("learned", None): epochs, ("bilbo", 0.1): 7, ("bilbo", 1.0): epochs}


def test_an_override_holds_for_its_part_of_the_grid() -> None:
    values = small()
    experiment = values["experiments"][0]
    experiment["overrides"] = [{"when": {"latent_dim": 3}, "settings": {"epochs": 7}}]
    loaded = Tier.model_validate(values).experiments[0]
    epochs = {
        (run.settings.latent_dim, run.settings.epochs)
        for cell in expand(loaded)
        for run in cell.runs
    }
    assert epochs == {(2, experiment["settings"]["epochs"]), (3, 7)}
    for override, message in (
        ({"when": {"latent_dim": 9}, "settings": {"epochs": 7}}, "latent_dim: 9 is not on the"),
        ({"when": {"seed": 0}, "settings": {"epochs": 7}}, "'seed' is not an axis that makes jobs"),
        ({"when": {"latent_dim": 3}, "settings": {"seed": 7}}, "'seed' is an axis"),
        (
            {"when": {"latent_dim": 3}, "settings": {"tau": 7}},
            "'tau' is not among the shared settings",
        ),
    ):
        experiment["overrides"] = [override]
        with pytest.raises(ValidationError, match=message):
            Tier.model_validate(values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"likelihood": "baggins", "tau": 1.0}, "cannot go with objective 'learned'"),
        ({"likelihood": "baggins", "objective": "bilbo"}, "'baggins' needs tau"),
        ({"likelihood": "gaussian", "tau": 1.0}, "takes 'tau'"),
        ({"likelihood": "baggins", "objective": "bilbo", "tau": -1}, "tau should be great"),
    ],
)
def test_an_impossible_likelihood_is_refused_with_a_reason(
    settings: dict[str, Any], message: str
) -> None:
    values = small()
    experiment = values["experiments"][0]
    experiment["settings"] |= {"objective": "learned"} | settings
    del experiment["axes"]["objective"]
    values["figures"] = []
    with pytest.raises(ValidationError, match=message):
        Tier.model_validate(values)


def test_numeric_axes_pack_with_the_seeds() -> None:
    values = small()
    experiment = values["experiments"][0]
    experiment["axes"] = {"objective": ["bilbo"], "posterior_std": [0.1, 1], "seed": [0, 1]}
    experiment["settings"]["latent_dim"] = 2
    experiment["packed"] = ["posterior_std", "seed"]
    values["figures"] = []
    (cell,) = expand(Tier.model_validate(values).experiments[0])
    assert [run.folder.as_posix() for run in cell.runs] == [
        "objective~bilbo/posterior_std~0.1/seed~0",
        "objective~bilbo/posterior_std~0.1/seed~1",
        "objective~bilbo/posterior_std~1/seed~0",
        "objective~bilbo/posterior_std~1/seed~1",
    ]
    assert [run.settings.get("posterior_std") for run in cell.runs] == [0.1, 0.1, 1.0, 1.0]

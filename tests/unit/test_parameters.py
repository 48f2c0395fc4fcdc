"""Parameters that objectives, likelihoods and networks declare."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.packs import MakeSettings
from tests.registries import registries_apart
from vaebench.errors import UserError
from vaebench.experiment.grid import Experiment
from vaebench.experiment.settings import Settings, can_be_packed, own_parameters
from vaebench.likelihoods import batch_variance, likelihood
from vaebench.objectives import OBJECTIVES, objective
from vaebench.parameters import Parameter


@pytest.fixture(autouse=True)
def _apart() -> Iterator[None]:
    with registries_apart():
        yield


def register(**declaration: object) -> None:
    @objective(parameters=declaration)  # type: ignore[arg-type]
    def mine(batch, **own):  # type: ignore[no-untyped-def]  # noqa: ARG001
        return batch.log_likelihood.mean(-1)


@pytest.mark.parametrize(
    ("parameter", "value", "problem"),
    [
        (Parameter(1.0), "1", "should be a number"),
        (Parameter(1.0), True, "should be a number"),
        (Parameter(1.0), float("nan"), "finite"),
        (Parameter(1.0, minimum=0), -0.5, "at least 0"),
        (Parameter(1.0, above=0), 0, "greater than 0"),
        (Parameter(1.0, maximum=2), 2.5, "at most 2"),
        (Parameter(5, minimum=1), 2.0, "a whole number"),
        (Parameter(5, minimum=1), 0, "at least 1"),
        (Parameter("a", choices=("a", "b")), "c", "one of: a, b"),
        (Parameter("a", choices=("a", "b")), 1, "should be a text"),
    ],
)
def test_values_outside_are_refused(parameter: Parameter, value: object, problem: str) -> None:
    assert problem in (parameter.problem(value) or "")
    assert parameter.problem(parameter.default) is None


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "../up", "a\\b", "a\nb", " a", "a.", "a" * 101]
)
def test_a_text_has_to_name_a_folder(text: str) -> None:
    assert "can name a folder" in str(Parameter(kind=str).problem(text))
    assert Parameter(kind=str).problem("a b+c.d_é-1") is None


def test_a_default_outside_the_range_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the default -1\.0 of a parameter should be at least 0"):
        Parameter(-1.0, minimum=0)


@given(st.integers(-5, 5))
def test_whole_numbers_count_as_numbers(value: int) -> None:
    run = {"objective": "beta-vae", "beta": abs(value)}
    parameter = own_parameters(run)["beta"]
    assert parameter.problem(abs(value)) is None
    assert type(parameter.coerced(value)) is float


def test_only_numbers_can_be_packed() -> None:
    assert can_be_packed("beta")
    assert not can_be_packed("importance_samples")
    assert not can_be_packed("hidden_units")
    assert not can_be_packed("objective")
    assert can_be_packed("seed")


def test_a_parameter_is_a_setting_with_its_default(settings: MakeSettings) -> None:
    register(strength=2.0, mode=Parameter("soft", choices=("soft", "hard")))
    run = settings(objective="mine")
    assert run.get("strength") == 2.0
    assert run.get("mode") == "soft"
    assert settings(objective="mine", strength=3).get("strength") == 3.0
    assert settings(objective="mine", strength=3).digest != run.digest
    assert (
        settings(objective="mine", strength=3).digest
        == settings(objective="mine", strength=3.0).digest
    )
    assert Settings.model_validate_json(run.model_dump_json()) == run
    with pytest.raises(ValidationError, match="mode should be one of: soft, hard"):
        settings(objective="mine", mode="loud")
    with pytest.raises(ValidationError, match="strength has no meaning with objective 'learned'"):
        settings(objective="learned", strength=1.0)


def test_a_parameter_is_an_axis_and_leaves_other_objectives_alone(
    settings: MakeSettings,
) -> None:
    register(strength=2.0)
    given = settings().model_dump(exclude={"objective", "seed"}, exclude_none=True)
    axes = {"objective": ["learned", "mine"], "strength": [1, 2.0], "seed": [0, 1]}
    values = {"name": "x", "settings": given, "axes": axes, "packed": ["strength", "seed"]}
    experiment = Experiment.model_validate(values)
    cells = {cell.folder.as_posix(): cell for cell in experiment.cells}
    assert [run.folder.as_posix() for run in cells["objective~learned"].runs] == [
        "objective~learned/seed~0",
        "objective~learned/seed~1",
    ]
    assert [run.settings.get("strength") for run in cells["objective~mine"].runs] == [1, 1, 2, 2]
    assert "objective~mine/strength~1/seed~0" in {
        run.folder.as_posix() for run in cells["objective~mine"].runs
    }


def test_posterior_and_prior_are_settings_where_there_is_a_choice(
    settings: MakeSettings,
) -> None:
    run = settings(objective="beta-vae")
    assert (run.posterior, run.prior) == ("diagonal", "standard")
    assert settings(objective="learned").posterior is None
    assert settings(objective="learned").posterior_family == "diagonal"
    run = settings(objective="beta-vae", posterior="constant")
    assert run.get("posterior_std") == 1.0
    with pytest.raises(ValidationError, match="posterior has no meaning with objective 'learned'"):
        settings(objective="learned", posterior="full")
    with pytest.raises(ValidationError, match="prior 'floating-full' is not one of those"):
        settings(objective="beta-vae", prior="floating-full")
    # A likelihood that needs one Sigma asks the family, not the objective.
    tau = {"likelihood": "baggins", "tau": 1.0}
    settings(objective="beta-vae", posterior="shared", **tau)
    with pytest.raises(ValidationError, match="cannot go with objective 'beta-vae'"):
        settings(objective="beta-vae", posterior="full", **tau)


def wrong_posterior() -> None:
    objective(posterior="spiky")(lambda batch: batch.kl)


def wrong_prior() -> None:
    objective(prior=("standard", "vamp"))(lambda batch: batch.kl)


def without_parentheses() -> None:
    @objective
    def mine(batch):  # type: ignore[no-untyped-def]
        return batch.kl


def likelihood_without_parentheses() -> None:
    @likelihood
    def mine(x, decoded):  # type: ignore[no-untyped-def]  # noqa: ARG001
        return x


def taken_and_not_declared() -> None:
    @objective()
    def mine(batch, beta):  # type: ignore[no-untyped-def]  # noqa: ARG001
        return batch.kl


def declared_and_not_taken() -> None:
    @objective(parameters={"beta": 1.0})
    def mine(batch):  # type: ignore[no-untyped-def]
        return batch.kl


def badly_named() -> None:
    @batch_variance(parameters={"Nu": 1.0})
    def mine(batch, Nu):  # type: ignore[no-untyped-def]  # noqa: ARG001, N803
        return batch.squared


def samples_of_nothing() -> None:
    objective(samples="k", parameters={"k": 2.0})(lambda batch, k: batch.kl)  # noqa: ARG005


def twice() -> None:
    objective(name="learned")(lambda batch: batch.kl)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (wrong_posterior, "posterior 'spiky' is not one of: constant, shared, diagonal"),
        (wrong_prior, "prior 'vamp' is not one of: standard, floating"),
        (without_parentheses, "'mine' is decorated with @objective: write the parentheses"),
        (likelihood_without_parentheses, "'mine' is decorated with @likelihood"),
        (taken_and_not_declared, "takes 'beta', which is not declared"),
        (declared_and_not_taken, "declares the parameter 'beta', and its function does not take"),
        (badly_named, "parameter 'Nu' has to be named like beta or warm_up"),
        (samples_of_nothing, "samples names 'k', which has to be one of its parameters: a whole"),
        (twice, "two objectives are named 'learned'"),
    ],
)
def test_a_wrong_declaration_says_what_to_change(declare, message: str) -> None:  # type: ignore[no-untyped-def]
    before = dict(OBJECTIVES)
    with pytest.raises(UserError, match=message):
        declare()
    assert before == OBJECTIVES


def test_two_parts_cannot_declare_one_name(settings: MakeSettings) -> None:
    @objective(parameters={"tau": 3.0}, posterior="constant")
    def mine(batch, tau):  # type: ignore[no-untyped-def]
        return tau * batch.kl

    with pytest.raises(ValidationError, match="both declare the parameter 'tau'"):
        settings(objective="mine", likelihood="baggins", tau=1.0)
    settings(objective="mine", tau=1.0)

    @objective(parameters={"epochs": 3.0})
    def other(batch, epochs):  # type: ignore[no-untyped-def]
        return epochs * batch.kl

    with pytest.raises(ValidationError, match="its parameter 'epochs' is a setting of all runs"):
        settings(objective="other")

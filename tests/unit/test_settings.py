import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vaebench.experiment.settings import Settings, axis_folder, format_value

MakeSettings = Callable[..., Settings]
positive = st.floats(min_value=1e-12, max_value=1e12, allow_nan=False)


@given(positive)
def test_a_number_in_a_path_reads_back_as_itself(value: float) -> None:
    assert float(format_value(value)) == value
    assert re.fullmatch(r"[0-9.e+-]+", format_value(value))


@given(positive, positive)
def test_two_numbers_share_a_text_only_if_equal(a: float, b: float) -> None:
    assert (format_value(a) == format_value(b)) == (a == b)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1.0, "1"), (0.1, "0.1"), (10.0, "10"), (3e-5, "3e-05"), ("a", "a")],
)
def test_numbers_are_written_in_one_way(value: float | str, text: str) -> None:
    assert format_value(value) == text
    assert axis_folder("tau", value) == f"tau~{text}"


def test_the_digest_tells_runs_apart_and_nothing_else(settings: MakeSettings) -> None:
    base = settings(objective="bilbo")
    assert base.digest == settings(objective="bilbo", posterior_std=1.0).digest
    changes: list[dict[str, object]] = [
        {"seed": 1},
        {"epochs": 3},
        {"posterior_std": 2.0},
        {"latent_scale": 2.0},
        {"latent_dim": 3},
        {"objective": "constant"},
        {"hidden_units": 17},
        {"learning_rate": 0.002},
        {"schedule": "constant-cosine"},
        {"epochs": None, "steps": 2},
        {"network": "conv", "hidden_units": None, "hidden_layers": None},
        {"precision": "tf32"},
        {"precision": "bfloat16"},
    ]
    digests = {settings(**({"objective": "bilbo"} | change)).digest for change in changes}
    assert len(digests | {base.digest}) == len(changes) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"posterior_std": 0.0, "objective": "bilbo"}, "greater than 0"),
        ({"posterior_std": float("inf"), "objective": "bilbo"}, "finite"),
        ({"posterior_std": 1.0}, "no meaning with objective 'learned'"),
        ({"data_scale": 2.0}, "no meaning with objective 'learned', likelihood 'bernoulli'"),
        ({"precision": "float16"}, "'float32', 'tf32' or 'bfloat16'"),
        ({"network": "conv"}, "hidden_layers has no meaning"),
        ({"network": "transformer"}, "network 'transformer' is not one of: mlp, conv"),
        ({"hidden_units": None}, "network 'mlp' needs hidden_units"),
        ({"schedule": "linear"}, "'constant', 'constant-cosine' or 'cosine'"),
        ({"steps": 5}, "give epochs or steps, one of them"),
        ({"epochs": None}, "give epochs or steps, one of them"),
        ({"epochs": None, "steps": 0}, "greater than or equal to 1"),
        ({"latent_dim": 0}, "greater than or equal to 1"),
        ({"latent_dim": 2.0}, "valid integer"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"objective": "elbow"}, "objective 'elbow' is not one of: learned, constant, bilbo"),
        ({"likelihood": "poisson"}, "likelihood 'poisson' is not one of"),
        ({"dataset": "imagenet"}, "dataset 'imagenet' is not one of: mnist"),
        ({"sigma": 1.0}, "sigma has no meaning"),
    ],
)
def test_impossible_settings_are_refused(
    settings: MakeSettings, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        settings(**change)


def test_settings_that_apply_get_their_default(settings: MakeSettings) -> None:
    assert settings(objective="constant").get("posterior_std") == 1.0
    assert settings(likelihood="gaussian").get("data_scale") == 1.0
    assert settings().get("posterior_std") is None
    assert settings().get("data_scale") is None
    assert settings().precision == "float32"

"""The Laplace approximation as a second witness of the evidence."""

import ast
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.linear_runs import CPU, linear_run
from vaebench.core.prior import DiagonalPrior
from vaebench.evidence.density import Density
from vaebench.evidence.gaussians import log_det
from vaebench.evidence.kept import KeptBlocks, Named
from vaebench.evidence.laplace import evidence_at, most_probable
from vaebench.evidence.local import curvature, model_of
from vaebench.evidence.method import MODE_STEPS, measure
from vaebench.experiment.evidence import EvidencePlan
from vaebench.experiment.settings import Settings
from vaebench.models.make import make_vae
from vaebench.results.collect import evidence_columns
from vaebench.runs.canonical import PACKAGE
from vaebench.runs.evidence_record import Evidence
from vaebench.runs.sources import EVIDENCE_OF_EQUATIONS, NOT_MEASURING

FAST: dict[str, Any] = {
    "temperatures": 100, "chains": 4, "draws": 100, "simulated": 0, "refined": 0,
}  # fmt: skip
IMAGES = 12


def found_on(density: Density, x: Tensor) -> tuple[Evidence, Named]:
    """What is measured on images x, which are neither scaled nor levels here."""
    return measure(density, x, EvidencePlan(**FAST), KeptBlocks(None, "test"))


@pytest.mark.parametrize(("latent", "method"), [(2, "grid"), (10, "ais")])
def test_it_is_the_evidence_of_a_linear_decoder_whatever_the_encoder(
    latent: int, method: str
) -> None:
    run = linear_run(latent, 50, scale=0.3, std_factor=0.8, mean_error=1.0)
    x = run.images(IMAGES)
    record, arrays = found_on(run.density, x)
    assert record.method == method
    np.testing.assert_allclose(arrays["laplace"], run.log_p(x), atol=1e-4, rtol=0)
    assert record.laplace is not None
    difference = arrays["laplace"] - arrays["log_p"]
    assert record.laplace.difference.mean == pytest.approx(difference.mean())
    assert record.laplace.difference.median == pytest.approx(np.median(difference))
    assert record.laplace.difference.mean == pytest.approx(0, abs=1e-4 if latent == 2 else 0.2)
    columns = evidence_columns(record)
    assert columns["evidence_laplace"] == pytest.approx(arrays["laplace"].mean())
    assert columns["evidence_laplace_difference"] == record.laplace.difference.mean
    assert columns["evidence_laplace_difference_median"] == record.laplace.difference.median


def test_it_takes_the_maximum_and_not_the_encoders_mean() -> None:
    """On a decoder that is not linear, by the definition and automatic differentiation."""
    run = linear_run(2, 30, scale=1.0, likelihood="bernoulli", mean_error=1.0)
    parameters = dict(run.density.parameters)
    parameters["decoder.hidden1.bias"] = torch.tensor([[[0.3, -0.5, 0.2, 0.4]]]).double()
    density = replace(run.density, variance=None, parameters=parameters)
    z = torch.randn(IMAGES, 2, generator=torch.Generator().manual_seed(0)).double()
    x = density.sample(z * run.prior_std, torch.Generator().manual_seed(1))
    record, arrays = found_on(density, x)
    start = density.encode(x).mean
    mode = most_probable(model_of(density), x, start, MODE_STEPS)
    joint = density.log_joint(x, mode)
    assert (joint >= density.log_joint(x, start)).all()
    precision = -torch.stack([_hessian(density, x[k], mode[k]) for k in range(IMAGES)])
    # log p(x, z) + n/2 log 2 pi - 1/2 log det of the negative Hessian
    expected = joint + np.log(2 * np.pi) - 0.5 * torch.logdet(precision)
    np.testing.assert_allclose(arrays["laplace"], expected, atol=1e-6, rtol=0)
    assert record.laplace is not None
    assert 0 < abs(record.laplace.difference.mean) < 1


def _hessian(density: Density, x: Tensor, z: Tensor) -> Tensor:
    def joint(at: Tensor) -> Tensor:
        # The package's kernel of the Bernoulli likelihood has no second derivative.
        logits = density.decode(at[None]).output[0]
        value = (x * logits - torch.nn.functional.softplus(logits)).sum()
        return value + density.log_prior(at[None])[0]

    hessian: Tensor = torch.autograd.functional.hessian(joint, z)
    return hessian


def test_where_the_jacobian_is_not_known_there_is_none() -> None:
    values = {
        **{"dataset": "digits", "likelihood": "gaussian-learned", "objective": "learned"},
        **{"latent_dim": 3, "network": "mlp", "hidden_units": 8, "hidden_layers": 1},
        **{"batch_size": 100, "learning_rate": 0.001, "epochs": 1, "seed": 0},
    }
    run = Settings.model_validate(values)
    vae = make_vae([run], (5, 1), CPU)
    prior = DiagonalPrior(torch.ones(1, 1, 3).double())
    density = Density(vae, vae.network.initialise([run], CPU), prior, None).in_double()
    record, arrays = found_on(density, torch.rand(4, 5).double())
    assert record.laplace is None
    assert "laplace" not in arrays
    assert evidence_columns(record)["evidence_laplace"] is None
    assert evidence_columns(record)["evidence_mean"] is not None


def test_single_precision_leaves_curvatures_positive_definite() -> None:
    """Steep decoders with directions that hardly differ: J'WJ is nearly of rank one."""
    run = linear_run(10, 50)
    steep = 1e4 * (torch.ones(10, 50) + 1e-6 * run.weight.T)
    weight = torch.cat([steep, -steep]).double()
    parameters = run.density.parameters | {"decoder.output.weight": weight[None]}
    single = {name: tensor.float() for name, tensor in parameters.items()}
    density = replace(run.density, parameters=single, dtype=torch.float32)
    model, z = model_of(density), torch.zeros(3, 10)
    a = curvature(model, z + 0.1)
    assert torch.isfinite(log_det(a)).all()
    assert (torch.linalg.eigvalsh(a) > 0.1).all()
    x = run.images(3).float()
    assert torch.isfinite(evidence_at(model, x, most_probable(model, x, z))).all()


def test_the_equations_name_all_that_they_use_of_the_evidence() -> None:
    """What is not named would change no digest of the equations."""
    used: set[str] = set()
    wanted = [
        path for path in (PACKAGE / "equations").glob("*.py") if path.name not in NOT_MEASURING
    ]
    while wanted:
        for node in ast.walk(ast.parse(wanted.pop().read_text())):
            if isinstance(node, ast.ImportFrom):
                place = f"{node.module}".split(".")
                if place[:2] == ["vaebench", "evidence"] and f"{place[2]}.py" not in used:
                    used.add(f"{place[2]}.py")
                    wanted.append(PACKAGE / "evidence" / f"{place[2]}.py")
    assert used == set(EVIDENCE_OF_EQUATIONS)

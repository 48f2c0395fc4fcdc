"""The convolutional network: shapes, padding, initial weights and bound, against other means."""

from collections.abc import Callable
from itertools import pairwise
from math import log, pi

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.core.batch import Clock
from vaebench.core.network import per_run
from vaebench.core.vae import to_pixels
from vaebench.data.faces import draw
from vaebench.data.prepared import Arrays
from vaebench.errors import UserError
from vaebench.experiment.settings import Settings
from vaebench.models import conv
from vaebench.numerics.streams import generator, normal, order
from vaebench.training.final_metrics import final_metrics
from vaebench.training.loop import train
from vaebench.training.pack import Pack, TrainingState, init_state

CPU = torch.device("cpu")
MakeSettings = Callable[..., Settings]


@pytest.fixture
def convolutional(settings: MakeSettings) -> MakeSettings:
    """Settings of a small convolutional run; keyword arguments replace any of them."""

    def make(**changes: object) -> Settings:
        base: dict[str, object] = {
            "dataset": "faces", "network": "conv", "likelihood": "gaussian-coordinate",
            "hidden_units": None, "hidden_layers": None, "latent_dim": 16, "batch_size": 8,
            "epochs": None, "steps": 5,
        }  # fmt: skip
        return settings(**(base | changes))

    return make


@pytest.fixture(scope="module")
def faces() -> Arrays:
    images = draw(40)
    labels = np.zeros(40, np.uint8)
    return Arrays(images[:32], labels[:32], images[32:], labels[32:])


def net(run: Settings, *image_shape: int) -> conv.Net:
    return conv.Net.of([run], image_shape, CPU)


def trained(runs: list[Settings], data: Arrays) -> tuple[Pack, TrainingState]:
    pack = Pack.of(runs, data, CPU)
    state = init_state(pack)
    assert train(pack, state, lambda: False, lambda _: None)
    return pack, state


def test_every_layer_has_the_papers_shape(
    convolutional: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = net(convolutional(), 64, 64, 3)
    parameters = network.initialise([convolutional()], CPU)
    seen: list[tuple[int, ...]] = []
    for name in ("same_convolution", "same_transposed", "conv2d"):
        function = getattr(conv, name)

        def noting(*values: Tensor, of: Callable[..., Tensor] = function, **rest: int) -> Tensor:
            result = of(*values, **rest)
            if rest.get("stride") is None:
                seen.append(tuple(result.shape[1:]))
            return result

        monkeypatch.setattr(conv, name, noting)
    posterior = network.encode(parameters, torch.rand(1, 2, 64 * 64 * 3))
    assert seen == [
        (32, 32, 32), (32, 16, 16), (64, 8, 8), (64, 4, 4), (128, 2, 2), (64, 1, 1),
    ]  # fmt: skip
    assert posterior.mean.shape == posterior.std.shape == (1, 2, 16)
    seen.clear()
    decoded = network.decode(parameters, posterior.mean)
    assert seen == [
        (128, 2, 2), (128, 4, 4), (64, 8, 8), (64, 16, 16), (32, 32, 32), (32, 64, 64), (3, 64, 64),
    ]  # fmt: skip
    assert decoded.output.shape == (1, 2, 64 * 64 * 3)
    assert decoded.std is not None
    assert decoded.std.shape == (1, 1, 64 * 64 * 3)


def test_the_number_of_parameters_is_the_papers(convolutional: MakeSettings) -> None:
    run = convolutional()
    parameters = net(run, 64, 64, 3).initialise([run], CPU)
    sizes = {"encoder": 0, "decoder": 0}
    for name, tensor in parameters.items():
        sizes[name.split(".")[0]] += tensor.numel()

    def convolutions(*channels: int) -> int:
        return sum(25 * a * b + b for a, b in pairwise(channels))

    # Six convolutions to 64 = 4n channels, and a dense layer to n means and n raw scales.
    assert sizes["encoder"] == convolutions(3, 32, 32, 64, 64, 128, 64) + 64 * 32 + 32
    assert sizes["decoder"] == convolutions(16, 128, 128, 64, 64, 32, 32, 3) + 64 * 64 * 3
    constant = convolutional(objective="bilbo")
    fewer = net(constant, 64, 64, 3).initialise([constant], CPU)
    assert set(parameters) - set(fewer) == {"encoder.std.weight", "encoder.std.bias"}
    assert all(torch.equal(parameters[name], tensor) for name, tensor in fewer.items())


def convolve(images: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """A stride-2 convolution by its definition, output o over inputs 2o - 1 to 2o + 3.

    That is TensorFlow's "same" for an even side: 3 rows of padding in all, 1 of them before.
    """
    side = images.shape[-1]
    out = np.zeros((len(images), len(kernel), side // 2, side // 2))
    for row in range(side // 2):
        for column in range(side // 2):
            for i in range(5):
                for j in range(5):
                    y, x = 2 * row - 1 + i, 2 * column - 1 + j
                    if 0 <= y < side and 0 <= x < side:
                        out[:, :, row, column] += images[:, :, y, x] @ kernel[:, :, i, j].T
    return out


@pytest.mark.parametrize("side", [2, 4, 8])
def test_padding_is_one_before_and_two_after(side: int) -> None:
    generator = np.random.default_rng(side)
    images, kernel = generator.normal(size=(2, 3, side, side)), generator.normal(size=(4, 3, 5, 5))
    bias = generator.normal(size=4)
    got = conv.same_convolution(*(torch.from_numpy(v) for v in (images, kernel, bias)))
    expected = convolve(images, kernel) + bias[:, None, None]
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("side", [1, 2, 4])
def test_the_transposed_convolution_is_the_convolutions_transpose(side: int) -> None:
    """<convolve(u), v> = <u, transposed(v)> for all u and v, to float64."""
    generator = np.random.default_rng(side)
    small, kernel = generator.normal(size=(1, 4, side, side)), generator.normal(size=(4, 3, 5, 5))
    large = generator.normal(size=(1, 3, 2 * side, 2 * side))
    got = conv.same_transposed(*(torch.from_numpy(v) for v in (small, kernel, np.zeros(3)))).numpy()
    assert got.shape == large.shape
    assert (got * large).sum() == pytest.approx((convolve(large, kernel) * small).sum(), rel=1e-12)


def test_initial_weights_are_glorot_uniform(convolutional: MakeSettings) -> None:
    run = convolutional()
    network = net(run, 64, 64, 3)
    parameters = network.initialise([run], CPU)
    for name, (inputs, outputs) in network.shapes().items():
        limit = (6 / (25 * (inputs + outputs))) ** 0.5
        weight = parameters[f"{name}.weight"]
        assert weight.abs().max() <= limit
        assert weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.05)
        assert not parameters[f"{name}.bias"].any()
    # One dense layer of 64 inputs and 32 outputs, in two parts.
    for head in ("mean", "std"):
        weight = parameters[f"encoder.{head}.weight"]
        assert weight.abs().max() <= (6 / 96) ** 0.5
        assert weight.abs().max() > 0.97 * (6 / 96) ** 0.5


def test_initial_scales_are_one_and_a_hundredth(convolutional: MakeSettings) -> None:
    run = convolutional()
    network = net(run, 32, 32, 3)
    parameters = network.initialise([run], CPU)
    parameters["encoder.std.weight"].zero_()
    posterior = network.encode(parameters, torch.rand(1, 4, 3072))
    torch.testing.assert_close(posterior.std, torch.ones(1, 4, 16))
    parameters["encoder.std.bias"] -= 200.0  # softplus underflows, and its logarithm is infinite
    least = network.encode(parameters, torch.rand(1, 4, 3072)).std
    assert (least == torch.finfo(torch.float32).tiny).all()
    assert least.log().isfinite().all()
    std = network.common_std(parameters)
    assert std is not None
    torch.testing.assert_close(std, torch.full((1, 1, 3072), 0.01))
    parameters["decoder.coordinate_std"] -= 1000.0
    floor = network.common_std(parameters)
    assert floor is not None
    torch.testing.assert_close(floor, torch.full((1, 1, 3072), 1e-8), rtol=1e-5, atol=0)


@pytest.mark.parametrize("objective", ["learned", "bilbo"])
def test_the_initial_bound_is_that_of_its_definition(
    convolutional: MakeSettings, faces: Arrays, objective: str
) -> None:
    """Float64 arithmetic from the decoder's outputs alone: log density and KL by hand."""
    run = convolutional(objective=objective, **({} if objective == "learned" else
                                                {"posterior_std": 0.1}))  # fmt: skip
    pack = Pack.of([run], faces, CPU)
    parameters = init_state(pack).parameters
    test = pack.evaluate(parameters, "test")
    x = faces.test_images.reshape(8, -1) / 255.0
    with torch.no_grad():
        doubled = {name: tensor.double() for name, tensor in parameters.items()}
        posterior = pack.vae.network.encode(doubled, torch.from_numpy(x)[None])
        std = posterior.std[0].double().expand(8, 16).numpy()
        mean = posterior.mean[0].double().numpy()
        noise = torch.empty(8, 16)
        noise.normal_(generator=generator(run.seed, "evaluation", "test"))
        z = torch.from_numpy(mean + std * noise.numpy())
        logits = pack.vae.network.decode(doubled, z[None]).output[0].double().numpy()
    nu = 1 / (1 + np.exp(-logits))
    densities = -0.5 * log(2 * pi) - log(0.01) - 0.5 * ((x - nu) / 0.01) ** 2
    if objective == "learned":
        rate = 0.5 * (std**2 + mean**2 - 1 - 2 * np.log(std)).sum(1).mean()
    else:
        rate = 0.5 * np.log(1 + (mean**2).mean(0) / 0.01).sum()
    bound = densities.sum(1).mean() - rate
    assert test.elbo.item() == pytest.approx(bound, rel=1e-4)
    assert test.rate.item() == pytest.approx(rate, rel=1e-3, abs=1e-4)
    # A decoder that knows nothing shows grey: |x - 1/2|^2 / 2 (0.01)^2 is the largest term.
    grey = (-0.5 * log(2 * pi) - log(0.01) - 0.5 * ((x - 0.5) / 0.01) ** 2).sum(1).mean()
    assert bound == pytest.approx(grey, rel=0.3)


@pytest.mark.parametrize("likelihood", ["gaussian-coordinate", "gaussian-learned", "bernoulli"])
def test_packed_equals_alone(convolutional: MakeSettings, faces: Arrays, likelihood: str) -> None:
    runs = [
        convolutional(seed=seed, objective="bilbo", posterior_std=std, likelihood=likelihood)
        for seed, std in ((3, 1.0), (3, 0.1), (1, 0.1))
    ]
    _, packed = trained(runs, faces)
    for k, run in enumerate(runs):
        _, alone = trained([run], faces)
        for name, tensor in alone.parameters.items():
            torch.testing.assert_close(
                packed.parameters[name][k], tensor[0], rtol=1e-4, atol=1e-5, msg=name
            )


def test_latent_scale_multiplies_codes_and_divides_the_decoders_input(
    convolutional: MakeSettings,
) -> None:
    plain, scaled = (net(convolutional(latent_scale=c), 8, 8) for c in (1.0, 4.0))
    assert torch.equal(scaled.latent_scale, per_run([4.0], CPU))
    parameters = plain.initialise([convolutional()], CPU)
    x = torch.rand(1, 3, 64)
    a, b = plain.encode(parameters, x), scaled.encode(parameters, x)
    torch.testing.assert_close(b.mean, 4 * a.mean)
    torch.testing.assert_close(b.std, 4 * a.std)
    torch.testing.assert_close(
        scaled.decode(parameters, 4 * a.mean).output, plain.decode(parameters, a.mean).output
    )


def test_the_order_of_pixels_is_that_of_the_images(convolutional: MakeSettings) -> None:
    """Each colour of the last layer's output comes out beside the others, pixel by pixel."""
    network = net(convolutional(), 4, 4, 3)
    parameters = network.initialise([convolutional()], CPU)
    for name, tensor in parameters.items():
        if name.startswith("decoder.up"):
            tensor.zero_()
    parameters["decoder.output.bias"][0] = torch.tensor([1.0, 2.0, 3.0])
    output = network.decode(parameters, torch.zeros(1, 1, 16)).output.view(4, 4, 3)
    assert (output == torch.tensor([1.0, 2.0, 3.0])).all()


def test_bfloat16_is_close_and_another_run(convolutional: MakeSettings, faces: Arrays) -> None:
    exact, short = convolutional(), convolutional(precision="bfloat16")
    assert exact.digest != short.digest
    bounds = []
    for run in (exact, short):
        pack, state = trained([run], faces)
        assert all(tensor.dtype == torch.float32 for tensor in state.parameters.values())
        bounds.append(pack.evaluate(state.parameters, "test").elbo.item())
    assert bounds[0] != bounds[1]
    assert bounds[0] == pytest.approx(bounds[1], rel=0.05)


@pytest.mark.parametrize("shape", [(28, 28), (64, 32, 3), (128, 128, 3), (1, 1)])
def test_other_images_are_refused(convolutional: MakeSettings, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="takes square images with a side of"):
        net(convolutional(), *shape).shapes()


def test_steps_are_those_of_torchs_adam(convolutional: MakeSettings, faces: Arrays) -> None:
    """Gradients of convolutions lie in memory otherwise than the parameters."""
    run = convolutional(steps=3, schedule="constant")
    pack, state = trained([run], faces)
    reference = init_state(pack).parameters
    optimizer = torch.optim.Adam(list(reference.values()), lr=0.001, maximize=True)
    for k in range(3):
        rows = order([run.seed], 0, 32)[:, 8 * k : 8 * (k + 1)]
        noise = normal([run.seed], "noise", 0, (32, 16), CPU)[:, 8 * k : 8 * (k + 1)]
        optimizer.zero_grad()
        x = to_pixels(pack.train_images[rows])
        batch = pack.vae.batch(reference, x, noise, 32, Clock(k, 3, 4))
        pack.vae.value(batch).sum().backward()
        optimizer.step()
    for name, tensor in reference.items():
        torch.testing.assert_close(state.parameters[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def test_training_raises_the_bound(convolutional: MakeSettings, faces: Arrays) -> None:
    pack, state = trained([convolutional(steps=60)], faces)
    bounds = [point.elbo for point in state.history[0]]
    assert len(bounds) == 20
    assert bounds[-1] is not None
    assert bounds[0] is not None
    assert bounds[-1] > bounds[0] + 1000
    assert pack.steps == state.step == state.history[0][-1].step == 60


@pytest.mark.parametrize("objective", ["learned", "bilbo"])
def test_pictures_show_and_measure_what_they_say(
    convolutional: MakeSettings, faces: Arrays, objective: str
) -> None:
    """Inputs, reconstructions and samples against the network itself, in float64 by hand."""
    run = convolutional(objective=objective)
    pack, state = trained([run], faces)
    (measured,) = final_metrics(pack, state, faces)
    arrays, final = measured.arrays, measured.final
    train, test = (pack.evaluate(state.parameters, which) for which in ("train", "test"))
    std = train.posterior.std[0].double().expand(32, 16).numpy()
    square = (std**2 + train.posterior.mean[0].double().numpy() ** 2).mean(0)
    assert final.fitted_prior_trace == pytest.approx(square.sum(), rel=1e-6)
    first = (std[:8] ** 2 + train.posterior.mean[0, :8].double().numpy() ** 2).mean(0)
    assert final.fitted_prior_trace_batch == pytest.approx(first.sum(), rel=1e-6)
    np.testing.assert_allclose(arrays["fitted_prior_std"], np.sqrt(square), rtol=1e-5)
    assert (arrays["inputs"] == faces.test_images).all()

    def image(z: Tensor) -> NDArray[np.float64]:
        with torch.no_grad():
            logits = pack.vae.network.decode(state.parameters, z).output[0].double()
        return logits.sigmoid().numpy().reshape(-1, 32, 32, 3)

    mean_image = image(test.posterior.mean)
    assert np.abs(arrays["reconstructions"] - 255 * mean_image).max() <= 0.5 + 1e-3
    draws = normal([run.seed], "samples", "pictures", (8, 16), CPU)
    standard, fitted = image(draws), image(draws * torch.from_numpy(np.sqrt(square)).float())
    assert np.abs(arrays["fitted_samples"] - 255 * fitted).max() <= 0.5 + 1e-3
    for name, images in {
        "inputs": faces.test_images / 255.0, "reconstructions": mean_image,
        "standard": standard, "fitted": fitted,
    }.items():  # fmt: skip
        expected = images.var(0).mean()
        assert arrays[f"variation_{name}"] == pytest.approx(expected, rel=1e-4), name
    mean = faces.train_images.mean(0) / 255.0
    mse = ((faces.test_images / 255.0 - mean) ** 2).mean()
    assert final.test.mean_image_mse == pytest.approx(mse, rel=1e-6)

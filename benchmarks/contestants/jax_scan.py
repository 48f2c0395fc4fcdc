"""The paper's MNIST runs in JAX, in an environment of its own: vmap over runs, scan over steps.

The kind is ignored, and the device is JAX's default.
"""

import os
from typing import Any

from turns import Task, take_turns

TASK = Task.told()
LATENT, RUNS, IMAGES = TASK.latent_dim, TASK.runs, TASK.images
# XLA takes a thread for every core that it may run on, and reads it when it starts.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: TASK.threads]))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax import lax, random  # noqa: E402

BATCH, PIXELS, HIDDEN = 300, 784, 200
BETA1, BETA2, EPSILON, RATE = 0.9, 0.999, 1e-8, 1e-3
SHAPES = {
    **{f"encoder{k}": (PIXELS if k == 0 else HIDDEN, HIDDEN) for k in range(3)},
    **{f"decoder{k}": (LATENT if k == 0 else HIDDEN, HIDDEN) for k in range(3)},
    "mean": (HIDDEN, LATENT),
    "std": (HIDDEN, LATENT),
    "output": (HIDDEN, PIXELS),
}
Tree = dict[str, Any]


def initialise(key: Any) -> Tree:
    """Glorot-uniform weights, zero biases."""
    parameters = {}
    for (name, (inputs, outputs)), own in zip(
        SHAPES.items(), random.split(key, len(SHAPES)), strict=True
    ):
        limit = (6 / (inputs + outputs)) ** 0.5
        parameters[f"{name}.weight"] = random.uniform(
            own, (inputs, outputs), jnp.float32, -limit, limit
        )
        parameters[f"{name}.bias"] = jnp.zeros(outputs)
    return parameters


def loss(parameters: Tree, x: Any, noise: Any) -> Any:
    """The negative ELBO of a batch."""

    def layer(name: str, values: Any) -> Any:
        return values @ parameters[f"{name}.weight"] + parameters[f"{name}.bias"]

    hidden = x
    for k in range(3):
        hidden = jax.nn.relu(layer(f"encoder{k}", hidden))
    mean, std = layer("mean", hidden), jax.nn.softplus(layer("std", hidden))
    hidden = mean + std * noise
    for k in range(3):
        hidden = jax.nn.relu(layer(f"decoder{k}", hidden))
    logits = layer("output", hidden)
    reconstruction = (jax.nn.softplus(logits) - x * logits).sum()
    kl = 0.5 * (mean**2 + std**2 - 1 - 2 * jnp.log(std)).sum()
    return (reconstruction + kl) / BATCH


def epoch(levels: Any, key: Any, state: tuple[Tree, Tree, Tree, Any]) -> Any:
    """All steps of one epoch of one run."""
    of_order, of_noise = random.split(key)
    steps = IMAGES // BATCH
    rows = random.permutation(of_order, IMAGES)[: steps * BATCH].reshape(steps, BATCH)
    noise = random.normal(of_noise, (steps, BATCH, LATENT))

    def step(state: Any, inputs: Any) -> Any:
        parameters, first, second, count = state
        chosen, draws = inputs
        x = levels[chosen].astype(jnp.float32) / 255
        gradients = jax.grad(loss)(parameters, x, draws)
        count = count + 1
        first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
        second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)
        size = RATE * jnp.sqrt(1 - BETA2**count) / (1 - BETA1**count)
        parameters = jax.tree.map(
            lambda p, m, v: p - size * m / (jnp.sqrt(v) + EPSILON), parameters, first, second
        )
        return (parameters, first, second, count), None

    return lax.scan(step, state, (rows, noise))[0]


def main() -> None:
    keys = random.split(random.key(0), RUNS)
    parameters = jax.vmap(initialise)(keys)
    first, second = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    held = {"state": (parameters, first, second, jnp.zeros(RUNS)), "key": random.key(1)}
    levels = random.randint(random.key(2), (IMAGES, PIXELS), 0, 256).astype(jnp.uint8)
    run = jax.jit(jax.vmap(epoch, in_axes=(None, 0, 0)), donate_argnums=2)

    def work() -> None:
        held["key"], key = random.split(held["key"])
        held["state"] = jax.block_until_ready(run(levels, random.split(key, RUNS), held["state"]))

    take_turns(work)


if __name__ == "__main__":
    main()

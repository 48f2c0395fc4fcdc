"""A training step as a graph of operators, compiled once to machine code.

`graph_of` records the operators that compute the objective of a run and its gradients. Whatever of
them belongs to one run, such as its tau, becomes an input of the graph, so that all runs of a pack
share one. `compile_graph` gives the graph to torch's compiler, which fuses passes over memory. The
code runs without Python, and so without its global lock. Products stay calls of oneDNN.
"""

import logging
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from vaebench.training.pack import Pack, TrainingState
from vaebench.training.step import by_autograd

_PRODUCT = torch.ops.mkldnn._linear_pointwise.default


def graph_of(pack: Pack, state: TrainingState) -> tuple[fx.GraphModule, list[Tensor]]:
    """Record the objective and the gradients of one run.

    Args:
        pack: of one run.
        state: of its training.

    Returns:
        The graph, which takes the parameters, pixels, noise, the number of steps done and the
        values that belong to the run, and gives the objective and the gradient of each parameter;
        those values.

    Raises:
        Exception: of any kind, if an operator cannot be recorded, for example because the objective
            looks at the number in a tensor.
    """
    names = list(state.parameters)
    inputs = example(pack, state)

    def compute(*values: Tensor) -> list[Tensor]:
        *parameters, pixels, noise, done = values
        leaves = (value.detach().requires_grad_() for value in parameters)
        return by_autograd(pack, dict(zip(names, leaves, strict=True)), pixels, noise, done)

    traced = make_fx(compute, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
    return _with_inputs_for_constants(traced)


def example(pack: Pack, state: TrainingState) -> list[Tensor]:
    """Inputs of the shapes that a step has, in the order of the graph's."""
    images = pack.shared.batch_size
    pixels = torch.rand(1, images, pack.train_images.shape[1])
    noise = torch.randn(1, images * pack.draws, pack.vae.network.latent_dim)
    parameters = [value.detach() for value in state.parameters.values()]
    return [*parameters, pixels, noise, torch.tensor(float(pack.steps // 2))]


def _with_inputs_for_constants(traced: fx.GraphModule) -> tuple[fx.GraphModule, list[Tensor]]:
    """Make an input of every tensor that the graph holds, and `_linear` of every product."""
    graph, constants = traced.graph, []
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    for node in list(graph.nodes):
        if node.op == "get_attr":
            constants.append(getattr(traced, node.target).detach().clone())
            with graph.inserting_after(last):
                last = graph.placeholder(f"constant{len(constants)}")
            last.meta = dict(node.meta)
            node.replace_all_uses_with(last)
            graph.erase_node(node)
        elif node.target is _PRODUCT:
            left, right, bias, then, *_ = node.args
            node.target, node.args = _linear(), (left, right, bias, then)
    return fx.GraphModule({}, graph), constants


def compile_graph(graph: fx.GraphModule, inputs: list[Tensor], library: Path) -> None:
    """Compile a graph.

    Args:
        graph: from `graph_of`.
        inputs: examples.
        library: the path of the shared library to be written, in a folder of its own.

    Raises:
        Exception: of any kind, if there is no C++ compiler, or it fails.
    """
    from torch import _inductor

    # What it warns of, such as operators that it calls in another way, is of no use to a reader.
    logging.getLogger("torch._inductor").setLevel(logging.ERROR)
    _register_lowering()
    options = {"cpp.threads": 1, "aot_inductor.output_path": str(library)}
    _inductor.aot_compile(graph, tuple(inputs), options=options)
    for source in library.parent.glob("*.cpp"):
        source.unlink()


@cache
def _linear() -> Any:
    """The operator `vaebench::linear`: oneDNN's product, left @ right^T + bias.

    Torch's compiler has a rule for its own operator, but only with a right factor that never
    changes. This one has a rule that takes any.
    """
    library = torch.library.Library("vaebench", "FRAGMENT")
    library.define("linear(Tensor left, Tensor right, Tensor? bias, str then) -> Tensor")
    library.impl("linear", lambda x, w, b, then: _PRODUCT(x, w, b, then, [], ""), "CPU")
    library.impl("linear", lambda x, w, *_: x.new_empty(x.shape[0], w.shape[0]), "Meta")
    _linear.library = library  # type: ignore[attr-defined]  # It lives as long as its operator.
    return torch.ops.vaebench.linear.default


@cache
def _register_lowering() -> None:
    """Teach torch's compiler to call oneDNN for `vaebench::linear`."""
    import torch._inductor.compile_fx  # noqa: F401  # Registers the rules of other operators.
    from torch._inductor import ir, lowering

    class Linear(ir.ExternKernelAlloc):
        def __init__(self, layout: Any, inputs: Any, constants: Any) -> None:
            super().__init__(
                layout, inputs, constants, None,
                op_overload=_PRODUCT, cpp_kernel_name="aoti_torch_cpu__linear_pointwise",
            )  # fmt: skip

        def codegen(self, wrapper: Any) -> None:
            wrapper.include_extra_header("torch/csrc/inductor/aoti_torch/c/shim_cpu.h")
            super().codegen(wrapper)

        def apply_constraint(self) -> None:
            """Any layout of the right factor will do."""

    def lower(left: Any, right: Any, bias: Any, then: str) -> Any:
        kernel = ir.ExternKernel
        left = kernel.require_contiguous(kernel.realize_input(left))
        inputs, constants = [left, kernel.realize_input(right)], list[Any]((then, [-1], ""))
        if bias is None:
            constants.insert(0, None)
        else:
            inputs.append(kernel.require_contiguous(kernel.realize_input(bias)))
        size = [left.get_size()[0], right.get_size()[0]]
        layout = ir.FixedLayout(left.get_device(), left.get_dtype(), size)
        return ir.TensorBox.create(Linear(layout, inputs, constants))

    lowering.register_lowering(_linear(), type_promotion_kind=None)(lower)

"""Which of oneDNN's kernels torch runs for the layers that are trained, as oneDNN itself says.

oneDNN has fast kernels for common shapes and a slow reference kernel for any other. A change of torch may move a shape
from the one to the other, and nothing but the time of a training would tell. The layers run in a process of their own,
with one thread, because oneDNN writes its report to standard output: ``python -m nasbench_rl.training.onednn_kernels``.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field

from nasbench_rl.errors import NasbenchError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.spaces.kernel_network import Conv, same_padding
from nasbench_rl.spaces.nsc.size import node_shapes
from nasbench_rl.task import GameTask, ImageTask, Task

BATCH = 16
"""Rows of a trial at most: from here on torch looks at the batch no more, and with 128 the same kernels ran (AVX2)."""
MOST_INPUTS = 512
"""Inputs of a dense layer in a trial at most, to keep it short."""
_MARK = "nasbench_rl layer"


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution of (``height``, ``width``) maps, or a dense layer when ``kernel`` is 0.

    Attributes:
        inputs: channels, or features.
        outputs: likewise.
        kernel: side of the square kernel in pixels.
        stride: in both dimensions.
        padding: zeros on each side, without the reflections that are padded before.
        height: of the input in pixels.
        width: likewise.
        bias: whether it has one.
        rounded: whether it runs in bfloat16, by the recipe's autocast.
        batch: rows of a training step, or of a step of the games when ``inference``.
        inference: whether it runs without gradients.
        first: whether its input is the image, which needs no gradient.
    """

    inputs: int
    outputs: int
    kernel: int = 0
    stride: int = 1
    padding: int = 0
    height: int = 1
    width: int = 1
    bias: bool = True
    rounded: bool = False
    batch: int = BATCH
    inference: bool = False
    first: bool = False

    def __str__(self) -> str:
        what = f"conv {self.kernel}x{self.kernel}" if self.kernel else "dense"
        where = f" on {self.height}x{self.width}" if self.kernel else ""
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        numbers = "bfloat16" if self.rounded else "float32"
        return f"{what}{stride} {self.inputs} → {self.outputs}{where} ({numbers}{', playing' * self.inference})"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A primitive that oneDNN ran: ``convolution``, its implementation ``jit:avx2``, and ``backward_weights``."""

    primitive: str
    implementation: str
    direction: str

    @property
    def reference(self) -> bool:
        """Whether it is one of the slow reference kernels: ``ref:any``, ``ref``, ``ref_int8:any``."""
        return any(re.fullmatch(r"ref(_\w+)?", part) for part in re.split(r"[:+]", self.implementation))


@dataclass(frozen=True, slots=True)
class Report:
    """What ran for each layer; nothing where torch took no kernel of oneDNN's.

    Attributes:
        torch: version of torch, and oneDNN's name for the processor.
        kernels: by layer.
    """

    torch: str
    kernels: dict[Layer, tuple[Kernel, ...]] = field(default_factory=dict)

    @property
    def slow(self) -> dict[Layer, tuple[Kernel, ...]]:
        """The layers with reference kernels, and these."""
        found = {layer: tuple(k for k in kernels if k.reference) for layer, kernels in self.kernels.items()}
        return {layer: kernels for layer, kernels in found.items() if kernels}


def layers_of(task: Task, archs: Iterable[Architecture]) -> list[Layer]:
    """Return each layer of these networks once, as training and playing run it."""
    layers: dict[Layer, None] = {}
    for arch in archs:
        if isinstance(task, GameTask):
            layers.update(dict.fromkeys(_agent_layers(task, arch)))
        elif isinstance(task, ImageTask):
            layers.update(dict.fromkeys(_classifier_layers(task, arch)))
    return list(layers)


def _agent_layers(task: GameTask, arch: Architecture) -> Iterator[Layer]:
    network, recipe = task.network(arch), task.recipe
    minibatch = recipe.num_envs * recipe.rollout // recipe.minibatches
    rounded = recipe.autocast == "bf16"
    for batch, inference in ((minibatch, False), (recipe.num_envs, True)):
        for conv in (_stem(network.stem), *network.choices):
            size = conv.size_in + (sum(same_padding(conv.kernel)) if conv.same else 0)
            yield Layer(
                conv.inputs, conv.outputs, conv.kernel, conv.stride, conv.padding, size, size,
                rounded=rounded, batch=_rows(batch), inference=inference, first=conv not in network.choices,
            )  # fmt: skip
        yield _dense(network.linear_in, network.linear_out, batch, rounded, inference)
        for outputs in (network.actions, 1):
            yield _dense(network.linear_out, outputs, batch, False, inference)


def _stem(stem: Conv) -> Conv:
    """Return the agent computes a stem of stride 4 on blocks of 4x4 pixels."""
    if stem.stride != 4:
        return stem
    return Conv(16 * stem.inputs, stem.outputs, stem.kernel // 4, 1, stem.same, stem.padding, stem.size_in // 4)


def _classifier_layers(task: ImageTask, arch: Architecture) -> Iterator[Layer]:
    definition, recipe = task.space.definition, task.recipe
    rounded = recipe.autocast == "bf16"
    shapes = node_shapes(arch.choices, definition, task.image, recipe.filters, recipe.filter_growth)
    for index, kind, kernel, first, _ in arch.choices:
        if definition.operation(kind) == "conv":
            height, width, inputs = shapes[first]
            yield Layer(
                inputs, shapes[index][2], kernel, height=height, width=width,
                bias=False, rounded=rounded, batch=_rows(recipe.batch), first=first == 0,
            )  # fmt: skip
    height, width, channels = shapes[-1]
    yield _dense(height * width * channels, recipe.dense, recipe.batch, rounded)
    yield _dense(recipe.dense, task.environment.classes, recipe.batch, rounded)


def _dense(inputs: int, outputs: int, batch: int, rounded: bool, inference: bool = False) -> Layer:
    return Layer(min(inputs, MOST_INPUTS), outputs, rounded=rounded, batch=_rows(batch), inference=inference)


def _rows(batch: int) -> int:
    return min(batch, BATCH)


@functools.cache
def report(layers: tuple[Layer, ...]) -> Report:
    """Run the layers once, in a process of their own.

    Raises:
        NasbenchError: the process failed, or its output is none of oneDNN's.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__], input=json.dumps([asdict(layer) for layer in layers]),
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NasbenchError(f"the layers could not be tried out to see which of oneDNN's kernels run: {last}")
    return parse(done.stdout, layers)


def parse(text: str, layers: Sequence[Layer]) -> Report:
    """Parse the process's output: our line before each layer, and oneDNN's line for each kernel that it ran.

    Raises:
        NasbenchError: a layer is absent.
    """
    head, *parts = text.split(f"{_MARK} ")
    if len(parts) != len(layers):
        raise NasbenchError(f"{len(layers)} layers were to be tried out with oneDNN, and {len(parts)} were")
    isa = re.search(r"^(?:one)?dnn[l_]*verbose,.*\bcpu,isa:(.*)$", text, re.MULTILINE)
    found = Report(f"{head.strip().splitlines()[0]}, {isa.group(1) if isa else 'no oneDNN'}")
    for layer, part in zip(layers, parts, strict=True):
        found.kernels[layer] = tuple(dict.fromkeys(_kernels(part)))
    return found


def _kernels(text: str) -> Iterator[Kernel]:
    """From lines such as ``onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx2,backward_weights,…``."""
    for line in text.splitlines():
        fields = line.split(",")
        if "verbose" in fields[0] and "exec" in fields:
            primitive, implementation, direction = fields[fields.index("exec") + 2 :][:3]
            yield Kernel(primitive, implementation, direction)


def _run(layer: Layer) -> None:
    """One training step of a layer, or one step of playing, by the layers that the networks are made of."""
    import torch

    from nasbench_rl.training import bfloat16

    shape = (layer.batch, layer.inputs) + ((layer.height, layer.width) if layer.kernel else ())
    x = torch.zeros(shape)
    weight = torch.zeros(layer.outputs, layer.inputs, *(2 * [layer.kernel] if layer.kernel else []))
    if layer.kernel:
        x, weight = (tensor.to(memory_format=torch.channels_last) for tensor in (x, weight))
    bias = torch.zeros(layer.outputs) if layer.bias else None
    with torch.inference_mode(layer.inference), torch.autocast("cpu", torch.bfloat16, enabled=layer.rounded):
        x.requires_grad_(not (layer.inference or layer.first))
        weight.requires_grad_(not layer.inference)
        if layer.kernel:
            out = bfloat16.conv2d(x, weight, bias, layer.stride, layer.padding)
        else:
            out = bfloat16.linear(x, weight, bias)
    if not layer.inference:
        out.backward(torch.zeros_like(out))


def main() -> None:
    """Read layers from standard input, run each, and have oneDNN report."""
    import torch

    from nasbench_rl.training.process import tune_process

    tune_process()
    layers = [Layer(**fields) for fields in json.load(sys.stdin)]
    print(f"torch {torch.__version__}", flush=True)
    onednn = torch.backends.mkldnn
    with onednn.verbose(onednn.VERBOSE_ON) if onednn.is_available() else nullcontext():
        for layer in layers:
            print(f"{_MARK} {layer}", flush=True)
            _run(layer)


if __name__ == "__main__":
    main()

"""The layers' bfloat16 arithmetic against exact sums of the rounded numbers, on whatever CPU the suite runs.

Not against torch's own layers under autocast: its bfloat16 convolution sums gradients in bfloat16 on CPUs without
AVX-512 (``findings/torch_bfloat16_conv_backward.sh``).
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from nasbench_rl.training import bfloat16

GENERATOR_SEED = 5


def draw(*shape: int, seed: int = GENERATOR_SEED) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_layer(make: Callable[[], nn.Module]) -> nn.Module:
    layer = make()
    with torch.no_grad():
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=i))
    return layer


CONV = (
    lambda: nn.utils.skip_init(bfloat16.Conv2d, 6, 5, 3, stride=2, padding=1),
    draw(4, 6, 9, 9).to(memory_format=torch.channels_last),
)
NO_BIAS = (lambda: nn.utils.skip_init(bfloat16.Conv2d, 6, 5, 2, bias=False), draw(4, 6, 9, 9))
LINEAR = (lambda: nn.utils.skip_init(bfloat16.Linear, 40, 7), draw(12, 40))


def outcome(layer: nn.Module, x: Tensor, native: bool, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Output and gradients of input and parameters under autocast."""
    monkeypatch.setattr(bfloat16, "native", lambda: native)
    x = x.clone().requires_grad_()
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    (out.float() * draw(*out.shape, seed=99)).sum().backward()
    assert x.grad is not None
    return [out, x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


def exact(layer: Any, x: Tensor) -> list[Tensor]:
    """What ``outcome`` would be if all sums were exact: what autocast rounds is rounded, before and after."""

    def rounded(value: Tensor) -> Tensor:
        return value.detach().bfloat16().double().requires_grad_()

    inputs = [rounded(value) for value in (x, *layer.parameters())]
    if isinstance(layer, nn.Conv2d):
        bias = inputs[2] if layer.bias is not None else None
        out = F.conv2d(inputs[0], inputs[1], bias, layer.stride, layer.padding)
    else:
        out = F.linear(*inputs)
    gradients = torch.autograd.grad(out, inputs, draw(*out.shape, seed=99).bfloat16().double())
    return [value.detach().bfloat16() for value in (out, *gradients)]


NATIVE = pytest.param(True, marks=pytest.mark.skipif(not bfloat16.native(), reason="this CPU has no bfloat16"))


@pytest.mark.parametrize(("make", "x"), [CONV, NO_BIAS, LINEAR], ids=["conv", "conv without bias", "linear"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("native", [NATIVE, False])
def test_sums_are_exact_but_for_the_rounding_of_the_result(
    make: Callable[[], nn.Module], x: Tensor, dtype: torch.dtype, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make_layer(make)
    right = exact(layer, x)
    ours = outcome(layer, x.to(dtype), native, monkeypatch)
    assert len(ours) == len(right) == 2 + len(list(layer.parameters()))
    for at, (one, other) in enumerate(zip(ours, right, strict=True)):
        assert one.dtype == (torch.bfloat16 if at == 0 else dtype if at == 1 else torch.float32)
        assert one.shape == other.shape
        # Sums in another order may fall on the other side of a rounding: one bfloat16 (2**-8) apart, and rarely.
        torch.testing.assert_close(one.float(), other.float(), rtol=2**-7, atol=2**-7)
        assert (one != other).float().mean() < 0.05


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="these variables are for x86")
def test_the_same_on_a_lesser_cpu() -> None:
    """The instructions of a CPU without AVX; a better one than the suite runs on cannot be made up."""
    lesser = {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "sums_are_exact"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **lesser})
    assert done.returncode == 0, done.stdout
    assert "6 passed, 6 skipped" in done.stdout, "the emulated branch passes, and there is no native one"


def test_it_rounds_rather_than_computes_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make_layer(LINEAR[0])
    single = F.linear(LINEAR[1], *layer.parameters())
    rounded, gradient, *_ = outcome(layer, LINEAR[1], False, monkeypatch)
    assert not torch.equal(rounded.float(), single.bfloat16().float())  # input and weight are rounded too
    assert torch.equal(gradient, gradient.bfloat16().float())


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("autocast", [True, False])
def test_pixels_are_taken_as_they_are_stored(native: bool, autocast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16, "native", lambda: native)
    pixels = torch.randint(256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    weight, bias = draw(4, 3, 2, 2), draw(4)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out, plain = bfloat16.conv2d(pixels, weight, bias), F.conv2d(pixels.float(), weight, bias)
    assert out.dtype == plain.dtype == (torch.bfloat16 if autocast else torch.float32)
    torch.testing.assert_close(out, plain)


def test_without_autocast_the_layers_are_torch_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16, "native", lambda: False)
    for make, x in (CONV, LINEAR):
        layer: Any = make_layer(make)
        base = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Linear
        assert torch.equal(layer(x), base.forward(layer, x))


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("make", "x"), [CONV, NO_BIAS, LINEAR], ids=["conv", "conv without bias", "linear"])
def test_fixed_parameters_give_the_same_until_they_change(
    make: Callable[[], nn.Module], x: Tensor, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bfloat16, "native", lambda: native)
    layer = make_layer(make)

    def run() -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            out: Tensor = layer(x)
            return out

    with torch.autocast("cpu", torch.bfloat16):
        trained = layer(x)  # the path that keeps what a gradient needs
    with bfloat16.fixed_parameters():
        first, second = run(), run()
    assert torch.equal(first, trained) and torch.equal(first, second) and torch.equal(first, run())
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(2)
    with bfloat16.fixed_parameters():
        assert torch.equal(run(), 2 * first)

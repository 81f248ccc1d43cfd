"""The layers' own bfloat16 arithmetic against autocast's, on whatever CPU the suite runs."""

from __future__ import annotations

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


@pytest.mark.parametrize(("make", "x"), [CONV, NO_BIAS, LINEAR], ids=["conv", "conv without bias", "linear"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_roundings_as_autocast(
    make: Callable[[], nn.Module], x: Tensor, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make_layer(make)
    theirs = outcome(layer, x.to(dtype), True, monkeypatch)
    ours = outcome(layer, x.to(dtype), False, monkeypatch)
    assert len(ours) == len(theirs) == 2 + len(list(layer.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        # Sums in another order may fall on the other side of a rounding: one bfloat16 (2**-8) apart, and rarely.
        torch.testing.assert_close(one.float(), other.float(), rtol=2**-7, atol=2**-7)
        assert (one != other).float().mean() < 0.05


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

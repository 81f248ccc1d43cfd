"""Layers in bfloat16, for CPUs with and without an instruction for it.

Autocast casts a layer's input and parameters to bfloat16, sums in float32 and rounds the result to bfloat16. On a CPU
with AVX-512 and no bfloat16 instructions oneDNN does that by converting inside its inner loops, which is slow:
``UpdateByAutocast`` of the asv suite compares it with ``Update``. Without AVX-512 torch leaves oneDNN out, and its own
convolution sums the gradients in bfloat16 (``findings/torch_bfloat16_conv_backward.sh``). On both each tensor is
converted once here and summed by the float32 kernels: the same roundings at the same places, forward and backward. Only
the order within the float32 sums differs, as it does between any two CPUs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own idiom)
from torch import Tensor, nn


@functools.cache
def native() -> bool:
    """Return whether oneDNN takes bfloat16 here and, on x86, the CPU multiplies it itself: AVX512_BF16 or AMX."""
    has = torch.cpu.get_capabilities()
    fast = has["architecture"] != "x86_64" or bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    if not (fast and torch.backends.mkldnn.is_available()):
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # not where ONEDNN_MAX_CPU_ISA is below it


_fixed: dict[Tensor, Tensor] | None = None


@contextmanager
def fixed_parameters() -> Iterator[None]:
    """While no parameter changes, as in a rollout, each is rounded once and not at every step."""
    global _fixed
    outer, _fixed = _fixed, {}
    try:
        yield
    finally:
        _fixed = outer


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0) -> Tensor:
    """``torch.nn.functional.conv2d`` with equal strides and paddings in both dimensions; takes uint8 pixels too."""
    if _converts(x):
        if not torch.is_grad_enabled():
            return _conv2d(_rounded(x), _parameter(weight), bias, stride, padding)
        return _Conv2d.apply(x, weight, bias, stride, padding)  # type: ignore[no-any-return,no-untyped-call]
    if not x.is_floating_point():
        x = x.to(torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else torch.float32)
    if _casts_once(x):
        weight, bias = _as_autocast(weight, bias)
    return F.conv2d(x, weight, bias, stride, padding)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``torch.nn.functional.linear`` of (rows, inputs)."""
    if _converts(x):
        if not torch.is_grad_enabled():
            return _linear(_rounded(x), _parameter(weight), bias)
        return _Linear.apply(x, weight, bias)  # type: ignore[no-any-return,no-untyped-call]
    if _casts_once(x):
        weight, bias = _as_autocast(weight, bias)
    return F.linear(x, weight, bias)


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d`` with a square stride and padding."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's own name)
        """Return (n, inputs, height, width) → (n, outputs, …)."""
        return conv2d(input, self.weight, self.bias, int(self.stride[0]), int(self.padding[0]))


class Linear(nn.Linear):
    """``torch.nn.Linear`` of (rows, inputs)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's own name)
        """Return (rows, inputs) → (rows, outputs)."""
        return linear(input, self.weight, self.bias)


def _converts(x: Tensor) -> bool:
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and not native()


def _casts_once(x: Tensor) -> bool:
    """Return whether autocast would cast the same parameters again at every step of a rollout."""
    return _fixed is not None and torch.is_autocast_enabled(x.device.type) and not torch.is_grad_enabled()


def _rounded(x: Tensor) -> Tensor:
    """Return the nearest bfloat16, in float32; eight-bit integers are bfloat16s already."""
    return x.float() if x.dtype == torch.uint8 else x.bfloat16().float()


def _parameter(x: Tensor, cast: Callable[[Tensor], Tensor] = _rounded) -> Tensor:
    """Cast; a weight computed from parameters is a new tensor at every step, and not kept."""
    if _fixed is None or not isinstance(x, nn.Parameter):
        return cast(x)
    if x not in _fixed:
        _fixed[x] = cast(x)
    return _fixed[x]


def _as_autocast(weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return what autocast makes of the parameters."""
    return _parameter(weight, Tensor.bfloat16), None if bias is None else _parameter(bias, Tensor.bfloat16)


def _conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return F.conv2d(x, weight, None if bias is None else _parameter(bias), stride, padding).bfloat16()


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return F.linear(x, weight, None if bias is None else _parameter(bias)).bfloat16()


def _gradients(needed: Sequence[bool], gradients: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Round as autocast does; autograd casts the parameters' gradients to float32."""
    return tuple(g.bfloat16() if g is not None and need else None for g, need in zip(gradients, needed, strict=True))


class _Conv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        x, weight = _rounded(x), _rounded(weight)
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = [stride, stride], [padding, padding]
        return _conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad[:3]
        gradients = torch.ops.aten.convolution_backward(
            gradient.float(), x, weight, [weight.shape[0]], ctx.stride, ctx.padding, [1, 1], False, [0, 0], 1, needed
        )
        return (*_gradients(needed, gradients), None, None)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, weight = _rounded(x), _rounded(weight)
        ctx.save_for_backward(x, weight)
        return _linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad
        gradient = gradient.float()
        gradients = (
            gradient @ weight if needed[0] else None,
            gradient.T @ x if needed[1] else None,
            gradient.sum(0) if needed[2] else None,
        )
        return _gradients(needed, gradients)

"""Layers of an agent's network: parameters and FLOPs."""

from __future__ import annotations

from dataclasses import dataclass


def same_padding(kernel: int) -> tuple[int, int]:
    """Return the pixels of reflection padding: k//2 before, and after it k//2 − 1 if k is even, else k//2."""
    half = kernel // 2
    return half, half - 1 if kernel % 2 == 0 else half


def _conv_out(size: int, kernel: int, stride: int, same: bool) -> int:
    return (size + (sum(same_padding(kernel)) if same else 0) - kernel) // stride + 1


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution followed by ReLU. ``same`` pads by reflection (``same_padding``); else ``padding`` zeros."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    same: bool = True
    padding: int = 0
    size_in: int = 0

    @property
    def size_out(self) -> int:
        """Side of the square output map in pixels."""
        return _conv_out(self.size_in + 2 * self.padding, self.kernel, self.stride, self.same)

    @property
    def params(self) -> int:
        """Weights and biases."""
        return self.outputs * (self.inputs * self.kernel**2 + 1)

    @property
    def flops(self) -> int:
        """2 x multiply-accumulates of one observation."""
        return 2 * self.size_out**2 * self.outputs * self.inputs * self.kernel**2


@dataclass(frozen=True, slots=True)
class Network:
    """All layers of one agent: stem, choice convolutions, linear, policy and value heads.

    Before the linear layer maps are zero-padded or cropped at the centre to ``fit`` x ``fit``. On ALE, SS1's 10x10 are
    padded to 11x11, and SS2's 20x20 are cropped to it: the outer rows and columns, 279 places of 400, are not used.
    """

    stem: Conv
    choices: tuple[Conv, ...]
    fit: int
    linear_in: int
    linear_out: int
    actions: int

    @property
    def params(self) -> int:
        """Trainable parameters."""
        convs = sum(conv.params for conv in (self.stem, *self.choices))
        return convs + (self.linear_in + 1) * self.linear_out + (self.linear_out + 1) * (self.actions + 1)

    @property
    def flops(self) -> int:
        """Floating point operations of one forward pass of one observation (2 x multiply-accumulates)."""
        convs = sum(conv.flops for conv in (self.stem, *self.choices))
        return convs + 2 * self.linear_in * self.linear_out + 2 * self.linear_out * (self.actions + 1)


@dataclass(frozen=True, slots=True)
class Backbone:
    """The fixed part of a space's network at full width (Table 2 of the paper for ALE; design of MinAtar's here)."""

    observation: int
    stem_outputs: int
    stem_kernel: int
    stem_stride: int
    stem_padding: int
    choice_outputs: int
    choice_strides: tuple[int, ...]
    fit: int
    linear: int

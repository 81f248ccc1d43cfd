"""The kernel-choice spaces of the RL-agents paper (section 5.2, Table 2): SS1 with 25 and SS2 with 32 architectures.

An architecture is the tuple of kernel sizes of its choice layers, ``(4, 3)`` or ``"k4-k3"``. ``layers()`` turns it into
the list of layers of the whole network, from which params, FLOPs and the torch module are all made.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl.errors import InvalidArchitectureError, missing_extra, nearest
from nasbench_rl.numeric import as_int, as_integers, whole_number
from nasbench_rl.spaces.base import Architecture, ArchLike, SearchSpace, place_in

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def same_padding(kernel: int) -> tuple[int, int]:
    """(before, after): k//2 before; k//2 − 1 after if k is even, else k//2. Padding is by reflection."""
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
class Frame:
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


class KernelSpace(SearchSpace):
    """Every combination of ``kernels`` over the choice layers of ``frame``, in lexicographic order."""

    def __init__(self, name: str, kernels: tuple[int, ...], frame: Frame) -> None:
        """``name``: the space's id; ``kernels``: sizes allowed at every choice layer; ``frame``: the fixed part."""
        self.name = name
        self.kernels = tuple(whole_number(f"kernel of {name}", kernel, "1, 2, 3, …", least=1) for kernel in kernels)
        self.frame = frame
        self.depth = len(frame.choice_strides)
        points = itertools.product(self.kernels, repeat=self.depth)
        self._points = tuple(Architecture(name, p, "-".join(f"k{k}" for k in p)) for p in points)
        self._index = {arch.choices: i for i, arch in enumerate(self._points)}
        self._by_name = {arch.name: arch for arch in self._points}

    def __len__(self) -> int:
        return len(self._points)

    def __getitem__(self, index: int) -> Architecture:
        return self._points[place_in(self, index)]

    def parse(self, arch: ArchLike) -> Architecture:
        """The Architecture for ``(3, 3)``, ``"k3-k3"``, the tuple as text or an Architecture.

        Raises:
            InvalidArchitectureError: not a point of this space.
        """
        given = arch
        if isinstance(arch, str):
            if arch in self._by_name:
                return self._by_name[arch]
            if not _TUPLE.fullmatch(arch):
                raise self._refuse(given, nearest(arch, self._by_name))
            arch = tuple(map(int, re.findall(r"\d+", arch)))
        if isinstance(arch, (set, frozenset, dict)):  # whose order means nothing
            raise self._refuse(given, None)
        try:
            choices: tuple[Any, ...] = arch.choices if isinstance(arch, Architecture) else tuple(map(as_int, arch))
        except TypeError:  # a number or None
            raise self._refuse(given, None) from None
        if isinstance(arch, Architecture) and arch.space != self.name and choices in self._index:
            raise InvalidArchitectureError(f"{arch.name!r} is of space {arch.space!r}, not of {self.name!r}")
        try:
            return self._points[self._index[choices]]
        except (KeyError, TypeError):
            raise self._refuse(given, self._closest(choices)) from None

    def _closest(self, choices: tuple[Any, ...]) -> str | None:
        if len(choices) != self.depth or not all(type(k) is int for k in choices):
            return None
        return self._points[self._index[tuple(min(self.kernels, key=lambda a: abs(a - k)) for k in choices)]].name

    def _refuse(self, arch: object, close: str | None) -> InvalidArchitectureError:
        example = self._points[len(self) // 2]
        hint = f" did you mean {close!r}?" if close else ""
        sizes = "{" + ", ".join(map(str, self.kernels)) + "}"
        export = ""
        if isinstance(arch, Mapping) or _is_float(arch):
            export = "; of a ConfigSpace configuration, whose array holds positions: space.from_configuration(config)"
        return InvalidArchitectureError(
            f"{arch!r} is no architecture of {self.name};{hint} allowed: {self.depth} kernel sizes out of {sizes}, "
            f"as a tuple {example.choices} or a string {example.name!r}{export}"
        )

    def index(self, arch: ArchLike) -> int:
        """Position in lexicographic order."""
        return self._index[self.parse(arch).choices]

    def indices(self, choices: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Positions of many architectures at once; ``choices``: (n, depth) kernel sizes of any integer type.

        Raises:
            InvalidArchitectureError: a row is no point of this space.
        """
        rows = as_integers(choices)
        if rows is None or rows.ndim != 2 or rows.shape[1] != self.depth:
            shape = f"array of {choices.dtype} of shape {choices.shape}"
            raise self._refuse(choices.tolist() if choices.size < 20 else shape, None)
        digit = np.searchsorted(self.kernels, rows)
        wrong = np.take((*self.kernels, -1), digit) != rows
        if wrong.any():
            return np.array([self.index(rows[wrong.any(axis=1)][0])])  # raises
        return digit @ (len(self.kernels) ** np.arange(self.depth - 1, -1, -1))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Uniform over the space."""
        return self._points[int(rng.integers(len(self)))]

    def neighbours(self, arch: ArchLike) -> list[Architecture]:
        """Every architecture that differs in one layer's kernel."""
        base = self.parse(arch).choices
        edits = ((i, k) for i in range(self.depth) for k in self.kernels if k != base[i])
        return [self._points[self._index[(*base[:i], k, *base[i + 1 :])]] for i, k in edits]

    def encode(self, arch: ArchLike) -> np.ndarray[Any, np.dtype[np.float32]]:
        """One-hot, shape (depth * len(kernels),)."""
        choices = self.parse(arch).choices
        return np.array([float(k == c) for c in choices for k in self.kernels], dtype=np.float32)

    def network(self, arch: ArchLike, channels: int, actions: int, width: float = 1.0) -> Network:
        """Every layer of the network.

        Args:
            arch: an architecture of this space.
            channels: channels of the observation (4 stacked frames on ALE, the game's own on MinAtar).
            actions: number of the game's (minimal) actions.
            width: multiplies every layer's outputs; 1.0 is the paper's.
        """
        frame, kernels = self.frame, self.parse(arch).choices
        channels = whole_number("channels", channels, "1, 2, 3, …", least=1)
        actions = whole_number("actions", actions, "1, 2, 3, …", least=1)
        stem_out, conv_out, linear = (
            round(n * width) for n in (frame.stem_outputs, frame.choice_outputs, frame.linear)
        )
        stem = Conv(
            channels, stem_out, frame.stem_kernel, frame.stem_stride, False, frame.stem_padding, frame.observation
        )
        convs: list[Conv] = []
        inputs, size = stem_out, stem.size_out
        for kernel, stride in zip(kernels, frame.choice_strides, strict=True):
            convs.append(Conv(inputs, conv_out, kernel, stride, size_in=size))
            inputs, size = conv_out, convs[-1].size_out
        return Network(stem, tuple(convs), frame.fit, conv_out * frame.fit**2, linear, actions)

    def configspace(self) -> ConfigurationSpace:
        """The space as a ConfigSpace ``ConfigurationSpace``: one ordinal ``kernel_i`` a choice layer.

        ``from_configuration`` is the way back. ConfigSpace sorts names as text, so that of eleven layers and more the
        first is ``kernel_00``.
        """
        try:
            from ConfigSpace import ConfigurationSpace, OrdinalHyperparameter
        except ImportError:
            raise missing_extra("ConfigSpace", "configspace", "exporting a space to ConfigSpace") from None
        space = ConfigurationSpace(name=self.name)
        space.add([OrdinalHyperparameter(name, self.kernels) for name in self._exported()])
        return space

    def from_configuration(self, configuration: Mapping[str, Any]) -> Architecture:
        """The architecture of a configuration of ``configspace()``, or of its ``dict``.

        Raises:
            InvalidArchitectureError: other names than those of ``configspace()``, or another kernel size.
        """
        names = self._exported()
        if not isinstance(configuration, Mapping) or set(configuration) != set(names):
            raise InvalidArchitectureError(
                f"{configuration!r} is no configuration of {self.name}; allowed: {', '.join(names)}, a kernel size each"
            )
        return self.parse(tuple(configuration[name] for name in names))

    def _exported(self) -> list[str]:
        digits = len(str(self.depth - 1))
        return [f"kernel_{i:0{digits}}" for i in range(self.depth)]


def _is_float(arch: object) -> bool:
    """Whether numbers with a decimal point are among the choices."""
    return isinstance(arch, (tuple, list, np.ndarray)) and any(isinstance(k, (float, np.floating)) for k in arch)


_TUPLE = re.compile(r"\(?\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*,?\s*\)?")
"""A tuple as text, as a shell passes it."""
_ATARI = dict(observation=84, stem_outputs=32, stem_kernel=8, stem_stride=4, stem_padding=0, choice_outputs=64)
_MINATAR = dict(observation=10, stem_outputs=16, stem_kernel=3, stem_stride=1, stem_padding=1, choice_outputs=16)
_SS1_KERNELS: tuple[int, ...] = (1, 2, 3, 4, 5)
_SS2_KERNELS: tuple[int, ...] = (2, 5)
NATURE_CNN: tuple[int, int] = (4, 3)
"""Mnih et al. (2015) as a point of SS1 (Table 3 of the RL-agents paper)."""

KERNEL_SPACES: dict[str, KernelSpace] = {
    space.name: space
    for space in (
        KernelSpace("atari-ss1", _SS1_KERNELS, Frame(**_ATARI, choice_strides=(2, 1), fit=11, linear=512)),
        KernelSpace("atari-ss2", _SS2_KERNELS, Frame(**_ATARI, choice_strides=(1,) * 5, fit=11, linear=512)),
        KernelSpace("minatar-ss1", _SS1_KERNELS, Frame(**_MINATAR, choice_strides=(1, 1), fit=10, linear=128)),
        KernelSpace("minatar-ss2", _SS2_KERNELS, Frame(**_MINATAR, choice_strides=(1,) * 5, fit=10, linear=128)),
    )
}

"""The kernel-choice spaces of the RL-agents paper (section 5.2, Table 2): SS1 with 25 and SS2 with 32 architectures.

An architecture is the tuple of kernel sizes of its choice layers, ``(4, 3)`` or ``"k4-k3"``. ``network``
returns all layers of its network, from which params, FLOPs and the torch module are made.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_rl._utils.numeric import as_int, as_integers, whole_number
from nasbench_rl.errors import InvalidArchitectureError, missing_extra, nearest
from nasbench_rl.spaces.base import Architecture, ArchLike, SearchSpace, place_in
from nasbench_rl.spaces.kernel_network import Backbone, Conv, Network

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


class KernelSpace(SearchSpace):
    """Every combination of ``kernels`` over the choice layers of ``backbone``, in lexicographic order."""

    def __init__(self, name: str, kernels: tuple[int, ...], backbone: Backbone) -> None:
        """``name``: the space's id; ``kernels``: sizes allowed at every choice layer; ``backbone``: the fixed part."""
        self.name = name
        self.kernels = tuple(whole_number(f"kernel of {name}", kernel, "1, 2, 3, …", least=1) for kernel in kernels)
        self.backbone = backbone
        self.depth = len(backbone.choice_strides)
        points = itertools.product(self.kernels, repeat=self.depth)
        self._points = tuple(Architecture(name, p, "-".join(f"k{k}" for k in p)) for p in points)
        self._index = {arch.choices: i for i, arch in enumerate(self._points)}
        self._by_name = {arch.name: arch for arch in self._points}

    def __len__(self) -> int:
        return len(self._points)

    def __getitem__(self, index: int) -> Architecture:
        return self._points[place_in(self, index)]

    def parse(self, arch: ArchLike) -> Architecture:
        """Return the Architecture for ``(3, 3)``, ``"k3-k3"``, the tuple as text or an Architecture.

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
        """Return the position in lexicographic order."""
        return self._index[self.parse(arch).choices]

    def indices(self, choices: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the positions of many architectures; ``choices``: (n, depth) kernel sizes of any integer type.

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
        """Draw uniformly from the space."""
        return self._points[int(rng.integers(len(self)))]

    def neighbours(self, arch: ArchLike) -> list[Architecture]:
        """Return every architecture that differs in one layer's kernel."""
        base = self.parse(arch).choices
        edits = ((i, k) for i in range(self.depth) for k in self.kernels if k != base[i])
        return [self._points[self._index[(*base[:i], k, *base[i + 1 :])]] for i, k in edits]

    def encode(self, arch: ArchLike) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return a one-hot vector of shape (depth * len(kernels),)."""
        choices = self.parse(arch).choices
        return np.array([float(k == c) for c in choices for k in self.kernels], dtype=np.float32)

    def network(self, arch: ArchLike, channels: int, actions: int, width: float = 1.0) -> Network:
        """Return every layer of the network.

        Args:
            arch: an architecture of this space.
            channels: channels of the observation (4 stacked frames on ALE, the game's own on MinAtar).
            actions: number of the game's (minimal) actions.
            width: multiplies every layer's outputs; 1.0 is the paper's.
        """
        fixed, kernels = self.backbone, self.parse(arch).choices
        channels = whole_number("channels", channels, "1, 2, 3, …", least=1)
        actions = whole_number("actions", actions, "1, 2, 3, …", least=1)
        stem_out, conv_out, linear = (
            round(n * width) for n in (fixed.stem_outputs, fixed.choice_outputs, fixed.linear)
        )
        stem = Conv(
            channels, stem_out, fixed.stem_kernel, fixed.stem_stride, False, fixed.stem_padding, fixed.observation
        )
        convs: list[Conv] = []
        inputs, size = stem_out, stem.size_out
        for kernel, stride in zip(kernels, fixed.choice_strides, strict=True):
            convs.append(Conv(inputs, conv_out, kernel, stride, size_in=size))
            inputs, size = conv_out, convs[-1].size_out
        return Network(stem, tuple(convs), fixed.fit, conv_out * fixed.fit**2, linear, actions)

    def configspace(self) -> ConfigurationSpace:
        """Return a ConfigSpace ``ConfigurationSpace`` with one ordinal ``kernel_i`` for each choice layer.

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
        """Return the architecture of a configuration of ``configspace()``, or of its ``dict``.

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
    """Return whether numbers with a decimal point are among the choices."""
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
        KernelSpace("atari-ss1", _SS1_KERNELS, Backbone(**_ATARI, choice_strides=(2, 1), fit=11, linear=512)),
        KernelSpace("atari-ss2", _SS2_KERNELS, Backbone(**_ATARI, choice_strides=(1,) * 5, fit=11, linear=512)),
        KernelSpace("minatar-ss1", _SS1_KERNELS, Backbone(**_MINATAR, choice_strides=(1, 1), fit=10, linear=128)),
        KernelSpace("minatar-ss2", _SS2_KERNELS, Backbone(**_MINATAR, choice_strides=(1,) * 5, fit=10, linear=128)),
    )
}

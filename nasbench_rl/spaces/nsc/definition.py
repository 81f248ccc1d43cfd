"""Declarative definition of an NSC (Network Structure Code) space: depth, layers, kernel sizes.

Two definitions ship with the package, ``nsc_chain.toml`` and ``nsc_multibranch.toml``. A user's own TOML or YAML file
replaces them, in the same form or in that of the original nasgym's ``nasenv.yml``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasbench_rl._utils.numeric import whole_number
from nasbench_rl._utils.paths import user_path
from nasbench_rl.errors import InvalidValueError, describe_unknown, missing_extra

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# How many predecessors an operation takes, and whether its kernel size is chosen.
ARITY: Mapping[str, int] = {
    "conv": 1,
    "maxpool": 1,
    "avgpool": 1,
    "identity": 1,
    "add": 2,
    "concat": 2,
    "terminal": 0,
}
SIZED = frozenset({"conv", "maxpool", "avgpool"})
_ALIASES = {"convolution": "conv", "maxpooling": "maxpool", "avgpooling": "avgpool"}  # nasgym's names


@dataclass(frozen=True, slots=True)
class LayerType:
    """One kind of layer.

    Attributes:
        name: the operation, a key of ``ARITY``.
        type: its number in an NSC vector (Table 1), at least 1: 0 is the empty layer.
        kernels: kernel or pool sizes to choose from; empty for operations without one.
    """

    name: str
    type: int
    kernels: tuple[int, ...] = ()

    @property
    def arity(self) -> int:
        """Number of predecessors: 0, 1 or 2."""
        return ARITY[self.name]

    def __post_init__(self) -> None:
        """Check what a hand-written file can get wrong."""
        if not isinstance(self.name, str) or self.name not in ARITY:
            raise InvalidValueError(describe_unknown("NSC operation", self.name, ARITY))
        object.__setattr__(self, "type", whole_number(f"layer {self.name!r}: type", self.type, "1, 2, 3, …"))
        if not isinstance(self.kernels, tuple):
            raise InvalidValueError(f"layer {self.name!r}: kernels {self.kernels!r} is no list, e.g. kernels = [2, 3]")
        what = f"layer {self.name!r}: kernel"
        object.__setattr__(self, "kernels", tuple(whole_number(what, one, "1, 2, 3, …") for one in self.kernels))
        if self.type < 1:
            raise InvalidValueError(
                f"layer {self.name!r} has type {self.type}; types start at 1 (0 is the empty layer)"
            )
        if self.name in SIZED and not self.kernels:
            raise InvalidValueError(f"layer {self.name!r} needs kernels, e.g. kernels = [2, 3]")
        if self.name not in SIZED and self.kernels:
            raise InvalidValueError(f"layer {self.name!r} takes no kernels, got {list(self.kernels)}")
        if any(kernel < 1 for kernel in self.kernels) or len(set(self.kernels)) != len(self.kernels):
            raise InvalidValueError(
                f"layer {self.name!r}: kernels must be distinct and positive, got {list(self.kernels)}"
            )


@dataclass(frozen=True)
class NscDefinition:
    """A whole space.

    Attributes:
        name: the space's name, the first part of a task id.
        depth: maximum number of layers d.
        chain: True when each layer's predecessor is the layer before it.
        layers: the layer types, in the order of the actions that add them (Table 2).
    """

    name: str
    depth: int
    chain: bool
    layers: tuple[LayerType, ...]

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if not isinstance(self.name, str):
            raise InvalidValueError(f"the name of a space is a text, not {self.name!r}")
        object.__setattr__(self, "depth", whole_number(f"space {self.name!r}: depth", self.depth, "1, 2, 3, …"))
        if not isinstance(self.chain, bool):
            raise InvalidValueError(f"space {self.name!r}: chain {self.chain!r} is neither true nor false")
        if self.depth < 1:
            raise InvalidValueError(f"space {self.name!r}: depth must be at least 1, got {self.depth}")
        for field in ("name", "type"):
            values = [getattr(layer, field) for layer in self.layers]
            if len(set(values)) != len(values):
                raise InvalidValueError(f"space {self.name!r}: two layers share a {field}: {values}")
        if not any(layer.arity == 1 for layer in self.layers):
            raise InvalidValueError(f"space {self.name!r} has no layer with one predecessor, so no network can start")
        merges = [layer.name for layer in self.layers if layer.arity == 2]
        if self.chain and merges:
            raise InvalidValueError(
                f"space {self.name!r} is a chain but has merging layers {merges}; remove them or set chain = false"
            )

    @property
    def max_kernel(self) -> int:
        """The k of Figure 5: the largest kernel or pool size."""
        return max((kernel for layer in self.layers for kernel in layer.kernels), default=0)

    @property
    def max_type(self) -> int:
        """The largest type number; 7 in the paper, whose one-hot is 8 wide."""
        return max(layer.type for layer in self.layers)

    @property
    def encoding_width(self) -> int:
        """Columns of the Figure 5 encoding: d + k + 10 for chains, 2d + k + 11 otherwise (with types up to 7)."""
        predecessors = 1 if self.chain else 2
        return (self.max_type + 1) + (self.max_kernel + 1) + predecessors * (self.depth + 1)

    def options(self, arity: int) -> tuple[tuple[int, int], ...]:
        """Return every (type, kernel) of the layers with ``arity`` predecessors, in definition order (no kernel: 0)."""
        return tuple(
            (layer.type, kernel) for layer in self.layers if layer.arity == arity for kernel in layer.kernels or (0,)
        )

    def layer(self, number: int) -> LayerType | None:
        """Return the layer type whose number is ``number``."""
        return next((layer for layer in self.layers if layer.type == number), None)

    def operation(self, number: int) -> str:
        """Name of the operation with this type number, which must exist."""
        layer = self.layer(number)
        assert layer is not None, number
        return layer.name


def load_definition(path: str | Path) -> NscDefinition:
    """Read a space definition from a TOML or YAML file.

    Raises:
        InvalidValueError: the file is absent, not TOML or YAML, or describes no possible space.
        MissingExtraError: a YAML file without PyYAML installed.
    """
    path = user_path(path)
    if not path.is_file():
        raise InvalidValueError(f"no space definition at {path}; give a .toml, .yaml or .yml file")
    try:
        raw = _read_mapping(path)
        return _from_nasgym(raw["nasenv"]) if "nasenv" in raw else _from_mapping(raw)
    except InvalidValueError as error:
        raise InvalidValueError(f"{path}: {error}") from None
    except KeyError as error:
        raise InvalidValueError(f"{path}: the field {error} is missing; see nsc_chain.toml for the fields") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise InvalidValueError(f"{path}: {error}; see nsc_chain.toml for the fields") from None


def builtin_definition(name: str) -> NscDefinition:
    """Return the definition that ships as ``nsc_chain.toml`` or ``nsc_multibranch.toml``."""
    return load_definition(Path(__file__).with_name(name.replace("-", "_") + ".toml"))


def _read_mapping(path: Path) -> Mapping[str, Any]:
    suffix = path.suffix.lower()
    text = path.read_text(encoding="utf-8")
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix not in (".yaml", ".yml"):
        raise InvalidValueError(f"unknown file type {suffix!r}; allowed: .toml, .yaml, .yml")
    try:
        import yaml
    except ModuleNotFoundError:
        raise missing_extra("yaml", "nsc", "reading a YAML space definition") from None
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidValueError(f"not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise InvalidValueError("the file holds no mapping")
    return raw


def _from_mapping(raw: Mapping[str, Any]) -> NscDefinition:
    _check_fields("a space", raw, ("name", "depth", "chain", "layers"))
    layers = []
    for item in _items(raw["layers"]):
        _check_fields("a layer", item, ("name", "type", "kernels"))
        layers.append(_layer(item["name"], item["type"], item.get("kernels")))
    return _define(raw["name"], raw["depth"], raw.get("chain"), tuple(layers))


def _from_nasgym(raw: Mapping[str, Any]) -> NscDefinition:
    """Read the original's form: ``layers`` is a list of one-entry mappings from a name to id and kernel_size.

    Fields that mean nothing here, such as version and encoding, are passed over, as the original does with its own.
    """
    layers = []
    for item in _items(raw["layers"]):
        ((name, fields),) = item.items()
        layers.append(_layer(name, fields["id"], fields.get("kernel_size")))
    return _define(raw["name"], raw["max_nlayers"], None, tuple(layers))


def _check_fields(what: str, given: Mapping[str, Any], allowed: Iterable[str]) -> None:
    for field in given:
        if field not in allowed:
            raise InvalidValueError(describe_unknown(f"field of {what}", field, allowed))


def _items(layers: Any) -> list[Mapping[str, Any]]:
    if not isinstance(layers, list) or not all(isinstance(item, Mapping) for item in layers):
        raise InvalidValueError("layers is no list of layers; see nsc_chain.toml for the form")
    return layers


def _layer(name: Any, number: Any, kernels: Any) -> LayerType:
    if isinstance(name, str):
        name = _ALIASES.get(name, name)
    if kernels is None:
        kernels = ()
    return LayerType(name, number, tuple(kernels) if isinstance(kernels, list) else kernels)


def _define(name: Any, depth: Any, chain: Any, layers: tuple[LayerType, ...]) -> NscDefinition:
    if chain is None:  # a space without merging layers is a chain unless the file says otherwise
        chain = all(layer.arity < 2 for layer in layers)
    return NscDefinition(name, depth, chain, layers)

"""Trained policies on disk, as safetensors: weights alone, no pickle."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from nasbench_rl import Run
from nasbench_rl.errors import InvalidValueError, missing_extra


def _path(template: str, run: Run) -> Path:
    return Path(template.replace("{seed}", str(run.seed)))


def save_policy(network: nn.Module, template: str, run: Run) -> Path:
    """Write a network's weights.

    Args:
        network: what to save.
        template: the file; ``{seed}`` in it becomes the search seed, so that searches side by side keep apart.
        run: gives the seed.

    Raises:
        InvalidValueError: the file cannot be written.
    """
    return save_tensors(network.state_dict(), template, run, "save")


def save_tensors(tensors: Mapping[str, Tensor], template: str, run: Run, option: str) -> Path:
    """Write named tensors; ``option`` is the hyperparameter that gave ``template``, for the message of an error."""
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise missing_extra("safetensors", "live", "saving a policy") from error
    path = _path(template, run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")  # renamed when whole: a kill leaves no half of a file
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)
        part.replace(path)
    except OSError as error:
        raise InvalidValueError(f"cannot save {path}: {error}; give {option}= a path to write to") from error
    return path


def check_savable(template: str | None, run: Run, option: str = "save") -> None:
    """Raise InvalidValueError ahead of a search whose policy could not be saved; None is not saved."""
    if template is None:
        return
    path = _path(template, run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InvalidValueError(f"cannot save {path}: {error}; give {option}= a path to write to") from error


def load_policy(network: nn.Module, template: str, run: Run) -> None:
    """Read weights that ``save_policy`` wrote into a network of the same shape.

    Raises:
        InvalidValueError: no such file, not safetensors, or a policy of another method, space or size.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise missing_extra("safetensors", "live", "loading a policy") from error
    path = _path(template, run)
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidValueError(
            f"no policy can be read from {path}: {error}; give policy= a file that save= wrote"
        ) from error
    have = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    need = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if have != need:
        name = min(have.items() ^ need.items())[0]
        raise InvalidValueError(
            f"the policy in {path} does not fit {run.space.name}: {name} is {have.get(name, 'absent')} there and "
            f"{need.get(name, 'absent')} here; load one saved by this method, with these sizes, on such a space"
        )
    network.load_state_dict(weights)

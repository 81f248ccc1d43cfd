"""Function-keeping transformations of trained networks: a larger network that computes what a smaller one does.

- Agents of the kernel-choice spaces: a kernel grows by zeros around it, so that the same pixels are read under
  reflection padding (``grow_kernels``). Exact at any stride, from every smaller kernel to every larger one.
- NSC networks: Net2Net's deeper and wider moves and path-level replicas as found by ``find_morphism``
  (``grow_layers``). Exact with batch norms in evaluation mode.
- NSC networks between which no morphism is known: ``take_over`` copies the layers that both have, the rest stays as it
  was initialised; the function changes.

Net2Net: Chen, Goodfellow and Shlens (2016), https://arxiv.org/abs/1511.05641.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nasbench_rl.errors import InvalidArchitectureError
from nasbench_rl.spaces.kernel_network import Network, same_padding
from nasbench_rl.spaces.nsc.morphism import Morphism, Role, View
from nasbench_rl.training.networks import Agent
from nasbench_rl.training.nsc_network import NscNetwork


@torch.no_grad()
def grow_kernels(parent: Agent, network: Network) -> Agent:
    """Return an agent with the layers of ``network`` that computes what ``parent`` does.

    Under "same" padding the kernel's element j reads the pixel at j − k//2 from the centre, whatever k is, and the
    map's size does not depend on k. So the weights stand at K//2 − k//2 in the larger kernel; reflection is the same.

    Raises:
        InvalidArchitectureError: a kernel would have to shrink.
    """
    weights = dict(parent.state_dict())
    for at, (old, new) in enumerate(zip(parent.network.choices, network.choices, strict=True)):
        if new.kernel < old.kernel:
            raise InvalidArchitectureError(
                f"the kernel of layer {at + 1} cannot shrink from {old.kernel} to {new.kernel}; kernels only grow"
            )
        before = same_padding(new.kernel)[0] - same_padding(old.kernel)[0]
        after = new.kernel - old.kernel - before
        name = f"convs.{at}.weight"
        weights[name] = nn.functional.pad(weights[name], (before, after, before, after))
    child = Agent(network, torch.Generator(), "bf16" if parent.autocast else None)
    child.load_state_dict(weights)
    return child.to(next(parent.parameters()).device)


@torch.no_grad()
def grow_layers(
    parent: NscNetwork,
    child: NscNetwork,
    morphism: Morphism,
    images: Tensor | None = None,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> None:
    """Give ``child`` the weights with which it computes what ``parent`` does.

    Args:
        parent: the trained network.
        child: a network of the larger architecture; all its weights are overwritten.
        morphism: ``find_morphism`` of the two.
        images: a batch (n, channels, height, width) by which the batch norms of new layers are set, so that they are
            near the identity in training too; None leaves mean 0 and variance 1.
        noise: standard deviation of what is added to second replicas and new layers, relative to that of their weights:
            replicas that are equal to the bit would stay so. 0 keeps the function exactly.
        generator: draws the noise.
    """
    seen: set[int] = set()
    for layer, role, sources in zip(child.layers, morphism.roles, child.sources, strict=True):
        if not isinstance(layer, nn.Sequential):
            continue
        conv, norm = _parts(layer)
        source = morphism.views[sources[0]]
        if role.kind == "copy":
            _copy_conv(conv, norm, parent.layers[role.view.node - 1], source, role.scale)
        else:
            _identity(conv, norm, source, role)
        if noise and (role.kind == "identity" or role.view.node in seen):
            spread = torch.empty(conv.weight.shape).normal_(generator=generator)
            conv.weight += noise * conv.weight.std() * spread.to(conv.weight.device)
        if role.kind == "copy":
            seen.add(role.view.node)
    _copy_prediction(parent, child, morphism.joined)
    if images is not None:
        _calibrate(child, morphism, images)


def _parts(layer: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Return the convolution and the batch norm of a convolutional layer."""
    assert isinstance(layer, nn.Sequential)
    _, conv, norm = layer
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return conv, norm


def _read(weights: Tensor, view: View) -> Tensor:
    """Weights (outputs, the parent's channels, …) for a reader of ``view``: (outputs, the child's channels, …)."""
    share = torch.as_tensor(1.0 / (view.scale * view.repeats), dtype=weights.dtype, device=weights.device)
    picked = weights[:, torch.as_tensor(view.index, device=weights.device)]
    return picked * share.view(1, -1, *([1] * (weights.dim() - 2)))


def _copy_conv(conv: nn.Conv2d, norm: nn.BatchNorm2d, old: nn.Module, source: View, scale: float) -> None:
    old_conv, old_norm = _parts(old)
    size = old_conv.kernel_size[0]
    conv.weight.zero_()
    conv.weight[:, :, :size, :size] = _read(old_conv.weight, source)
    norm.load_state_dict(old_norm.state_dict())
    norm.weight.mul_(scale)
    norm.bias.mul_(scale)


def _identity(conv: nn.Conv2d, norm: nn.BatchNorm2d, source: View, role: Role) -> None:
    """Output o is the ReLU of the parent's channel ``role.view.index[o]``, times the role's scale."""
    outputs = torch.as_tensor(role.view.index)
    unit = torch.zeros(len(outputs), int(max(source.index.max(), role.view.index.max())) + 1)
    unit[torch.arange(len(outputs)), outputs] = 1.0
    conv.weight.zero_()
    conv.weight[:, :, 0, 0] = _read(unit.to(conv.weight), source)
    norm.reset_parameters()
    _set_identity(norm, norm.running_mean, norm.running_var, role.scale)


def _set_identity(norm: nn.BatchNorm2d, mean: Tensor | None, variance: Tensor | None, scale: float) -> None:
    """Set the statistics, and the affine part that undoes them."""
    assert mean is not None and variance is not None and norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(scale * mean)


def _copy_prediction(parent: NscNetwork, child: NscNetwork, joined: View) -> None:
    height, width, channels = parent.shapes[-1]
    hidden = parent.prediction.hidden.weight.view(-1, height * width, channels).transpose(1, 2)
    child.prediction.hidden.weight.copy_(_read(hidden, joined).transpose(1, 2).flatten(1))
    child.prediction.hidden.bias.copy_(parent.prediction.hidden.bias)
    child.prediction.out.load_state_dict(parent.prediction.out.state_dict())


def _calibrate(child: NscNetwork, morphism: Morphism, images: Tensor) -> None:
    """Set the statistics of new batch norms by what reaches them; their output stays what it was."""

    def hook(role: Role) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(norm, nn.BatchNorm2d)
            variance, mean = torch.var_mean(inputs[0].to(norm.weight.dtype), dim=(0, 2, 3), correction=0)
            _set_identity(norm, mean, variance, role.scale)

        return measure

    new = [
        (_parts(layer)[1], role)
        for layer, role in zip(child.layers, morphism.roles, strict=True)
        if role.kind == "identity"
    ]
    handles = [norm.register_forward_pre_hook(hook(role)) for norm, role in new]
    child.eval()
    child(images)
    for handle in handles:
        handle.remove()


@torch.no_grad()
def take_over(parent: NscNetwork, child: NscNetwork) -> tuple[str, ...]:
    """Copy the layers that parent and child have in common; the function is not kept.

    Layers are matched in their order by operation and kernel, and copied where their weights have one shape.

    Returns:
        What keeps its fresh weights: ``"layer 3"``, ``"prediction"``.
    """
    names = [
        [(operation, layer[1].kernel_size if isinstance(layer, nn.Sequential) else None)
         for operation, layer in zip(net.operations, net.layers, strict=True)]
        for net in (parent, child)
    ]  # fmt: skip
    renewed = {at for at, layer in enumerate(child.layers) if isinstance(layer, nn.Sequential)}
    matcher = difflib.SequenceMatcher(None, names[0], names[1], autojunk=False)
    for start, at, size in matcher.get_matching_blocks():
        for step in range(size):
            if _copied(parent.layers[start + step], child.layers[at + step]):
                renewed.discard(at + step)
    renewed_names = [f"layer {at + 1}" for at in sorted(renewed)]
    child.prediction.out.load_state_dict(parent.prediction.out.state_dict())
    if not _copied(parent.prediction.hidden, child.prediction.hidden):
        renewed_names.append("prediction")
    return tuple(renewed_names)


def _copied(old: nn.Module, new: nn.Module) -> bool:
    weights, room = old.state_dict(), new.state_dict()
    if any(weights[name].shape != room[name].shape for name in room):
        return False
    new.load_state_dict(weights)
    return True

"""The agent's network in torch, built layer by layer from the space's description of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own idiom)
from torch import Tensor, nn

from nasbench_rl.spaces.kernel_network import Conv, Network, same_padding
from nasbench_rl.training.bfloat16 import Conv2d, Linear, conv2d


def _orthogonal(layer: nn.Conv2d | nn.Linear, gain: float, generator: torch.Generator) -> None:
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


def make_conv(conv: Conv) -> nn.Conv2d:
    """Return an uninitialised convolution; reflection padding is applied by ``run_conv``."""
    layer: nn.Conv2d = nn.utils.skip_init(
        Conv2d, conv.inputs, conv.outputs, conv.kernel, stride=conv.stride, padding=conv.padding
    )
    return layer


def run_conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Reflection-"same" padding, convolution, ReLU."""
    before, after = same_padding(layer.kernel_size[0])
    if before or after:
        x = mirrored(x, before, after) if x.is_cuda else F.pad(x, (before, after, before, after), mode="reflect")
    return F.relu(layer(x))


def mirrored(x: Tensor, before: int, after: int) -> Tensor:
    """``F.pad``'s reflection from slices: on CUDA its gradient adds in an order that differs from run to run."""
    for dim in (-2, -1):
        size = x.shape[dim]
        first, last = x.narrow(dim, 1, before).flip(dim), x.narrow(dim, size - 1 - after, after).flip(dim)
        x = torch.cat([first, x, last], dim)
    return x


def fit_to(x: Tensor, size: int) -> Tensor:
    """Zero-pad what is smaller than ``size`` x ``size``, centre-crop what is larger (negative padding crops)."""
    gap = size - x.shape[-1]
    return F.pad(x, (gap // 2, gap - gap // 2) * 2) if gap else x


class Agent(nn.Module):
    """Policy and value heads over stem → choice convolutions → padded or cropped (``fit_to``) → linear.

    Observations are uint8 with channels last, as they are stored: (batch, 10, 10, channels) on MinAtar; on ALE
    (batch, 21, 21, 64), the stacked 84x84 frames cut into 4x4 blocks (``atari.to_blocks``). On blocks the stem's
    8x8 stride 4 convolution over 4 channels is a 2x2 stride 1 convolution over 64, the same sums in a layout that CPUs
    do twice as fast; its weight keeps the shape (outputs, 4, 8, 8).
    """

    def __init__(self, network: Network, generator: torch.Generator, autocast: str | None = None) -> None:
        """``network``: all layers; ``generator``: draws the initial weights; ``autocast``: "bf16" or None."""
        super().__init__()
        self.network = network
        self.autocast = autocast == "bf16"
        self.blocked = network.stem.stride == 4
        self.stem = make_conv(network.stem)
        self.convs = self.make_choices(network)
        self.linear = nn.utils.skip_init(Linear, network.linear_in, network.linear_out)
        self.policy = nn.utils.skip_init(nn.Linear, network.linear_out, network.actions)
        self.value = nn.utils.skip_init(nn.Linear, network.linear_out, 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                gain = {self.policy: 0.01, self.value: 1.0}.get(module, math.sqrt(2))
                _orthogonal(module, gain, generator)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def make_choices(self, network: Network) -> nn.Module:
        """Return the choice convolutions, one a layer."""
        return nn.ModuleList(make_conv(conv) for conv in network.choices)

    def chosen(self) -> Sequence[nn.Conv2d]:
        """Return the choice convolutions that an observation passes through."""
        return list(self.convs)  # type: ignore[call-overload, no-any-return]

    def run_choices(self, x: Tensor) -> Tensor:
        """Return the stem's maps (batch, channels, height, width) through the chosen convolutions."""
        for conv in self.chosen():
            x = run_conv(conv, x)
        return x

    def _run_stem(self, observation: Tensor) -> Tensor:
        # Values up to 255 are exact in bfloat16; the scale to [0, 1] goes into the 2 048 weights, not the pixels.
        x = observation.permute(0, 3, 1, 2)
        if not self.blocked:
            return F.relu(self.stem(x))
        out, frames = self.stem.weight.shape[:2]
        blocks = self.stem.weight.view(out, frames, 2, 4, 2, 4).permute(0, 3, 1, 5, 2, 4)
        return F.relu(conv2d(x, blocks.reshape(out, 16 * frames, 2, 2) / 255, self.stem.bias))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return action logits (batch, actions) and values (batch,), both float32."""
        with torch.autocast(observation.device.type, torch.bfloat16, enabled=self.autocast):
            x = self._run_stem(observation)
            x = self.run_choices(x)
            x = F.relu(self.linear(fit_to(x, self.network.fit).flatten(1)))
        x = x.float()
        return self.policy(x), self.value(x).squeeze(-1)

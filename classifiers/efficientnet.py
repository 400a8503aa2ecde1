"""EfficientNet-Lite2 as torch modules: pixels in, log-odds of the 1,000 ImageNet classes out.

Source: Tan and Le, EfficientNet (2019), and the Lite variants of the TensorFlow models (2020): width 1.1, depth 1.2,
260 pixels, ReLU6, no squeeze-and-excitation, stem, head and the first and last stage unscaled in depth. Batch
normalisation is folded into the convolutions when the weights are read, and padding is TensorFlow's `SAME`, which
leans to the right and bottom at stride 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

SIDE_PIXELS = 260
CLASSES = 1_000

_STEM = 32
_HEAD = 1_280
_STAGES = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 48),
    (4, 3, 2, 6, 88),
    (4, 5, 1, 6, 120),
    (5, 5, 2, 6, 208),
    (1, 3, 1, 6, 352),
)
_EPSILON = 1e-3


class _Convolution(nn.Sequential):
    """A convolution with bias, padded as TensorFlow pads, with ReLU6 behind it if `active`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, active: bool = True
    ) -> None:
        layers: dict[str, nn.Module] = {}
        padding = kernel // 2 if stride == 1 else 0
        if stride > 1:  # an even side needs one pixel less before it than after it, an odd one as much
            layers["pad"] = _SamePadding(kernel, stride)
        layers["conv"] = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups)
        if active:
            layers["act"] = nn.ReLU6(inplace=True)
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


class _SamePadding(nn.Module):
    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self._kernel, self._stride = kernel, stride

    def forward(self, pixels: Tensor) -> Tensor:
        side = pixels.shape[-1]  # images are square
        total = max((-(-side // self._stride) - 1) * self._stride + self._kernel - side, 0)
        before, after = total // 2, total - total // 2
        return nn.functional.pad(pixels, (before, after, before, after))


class _Block(nn.Module):
    """Expand, filter each channel, project; with a shortcut where shapes allow it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expand = _Convolution(inputs, middle) if expansion > 1 else nn.Identity()
        self.depthwise = _Convolution(middle, middle, kernel, stride, groups=middle)
        self.project = _Convolution(middle, outputs, active=False)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, pixels: Tensor) -> Tensor:
        projected: Tensor = self.project(self.depthwise(self.expand(pixels)))
        return projected + pixels if self.shortcut else projected


class EfficientNetLite2(nn.Module):
    """Pixels of shape (images, 3, 260, 260), scaled to about -1..1, to log-odds of shape (images, 1000), float32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, _STEM, 3, 2)
        self.blocks = nn.Sequential(*_blocks())
        self.head = _Convolution(_STAGES[-1][-1], _HEAD)
        self.classes = nn.Linear(_HEAD, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.head(self.blocks(self.stem(pixels)))
        log_odds: Tensor = self.classes(features.mean((2, 3)))
        return log_odds.float()


def _blocks() -> Iterator[_Block]:
    inputs = _STEM
    for repeats, kernel, stride, expansion, outputs in _STAGES:
        for repeat in range(repeats):
            yield _Block(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion)
            inputs = outputs


def folded_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the state of `EfficientNetLite2` from the published tensors, each normalisation folded into its convolution.

    `KeyError` is raised if a tensor is missing; a wrong shape shows when the state is loaded.
    """
    state = {"classes.weight": published["_fc.weight"], "classes.bias": published["_fc.bias"]}
    pairs = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    for place in range(sum(stage[0] for stage in _STAGES)):
        ours, theirs = f"blocks.{place}", f"_blocks.{place}"
        if place > 0:  # the first block does not expand
            pairs.append((f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0"))
        pairs.append((f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1"))
        pairs.append((f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2"))
    for ours, convolution, norm in pairs:
        weight, bias = _folded(published, convolution, norm)
        state |= {f"{ours}.conv.weight": weight, f"{ours}.conv.bias": bias}
    return state


def _folded(published: Mapping[str, Tensor], convolution: str, norm: str) -> tuple[Tensor, Tensor]:
    mean, variance, gain, offset = (
        published[f"{norm}.{name}"].double() for name in ("running_mean", "running_var", "weight", "bias")
    )
    scale = gain / torch.sqrt(variance + _EPSILON)
    weight = published[f"{convolution}.weight"].double() * scale.view(-1, 1, 1, 1)
    return weight.float(), (offset - mean * scale).float()

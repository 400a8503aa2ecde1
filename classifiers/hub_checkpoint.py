"""A checkpoint in the Hugging Face format, opened so that it can only be data: safetensors, no code, no pickle.

Everything is read from one local folder, be it named or a hub's snapshot of one commit; the network is asked for
nothing but that snapshot, and only if it is allowed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifiers.errors import ModelUnusable
from classifiers.model_source import ModelSource
from classifiers.precision import FLOAT32
from classifiers.tensor_file import file_sha256

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

READ_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
"""What is fetched, read and counted in a folder's digest. Pickles and programs are neither fetched nor read."""
_SUBFOLDERS = ("*/config.json",)  # how a sentence encoder pools its tokens
_OTHER_RUNTIMES = ("onnx/*", "openvino/*", "coreml/*")

_LOADING = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError)
"""What the library raises on files that are absent, damaged or do not fit together."""


class Checkpoint:
    """One checkpoint, found and verified at first use. `download`: whether a hub's snapshot may be fetched."""

    def __init__(self, source: ModelSource, *, download: bool = False) -> None:
        self._source = source
        self._download = download

    @property
    def name(self) -> str:
        """The hub's name, or that of the folder itself, without its path."""
        return self._source.name or (self._source.folder or Path()).name

    @cached_property
    def revision(self) -> str:
        """`name@commit` for a hub's model, `name sha256:…` over everything that is read for a folder."""
        if self._source.name is not None:
            return f"{self._source.name}@{self._source.revision}"
        return f"{self.name} sha256:{folder_digest(self.folder)}"

    @cached_property
    def folder(self) -> Path:
        """The verified folder. `ModelUnusable` is raised if there is none or it is more than data."""
        folder = self._source.folder or self._snapshot()
        if not folder.is_dir():
            raise ModelUnusable(f"there is no folder {folder}; name the folder that holds the model's config.json")
        self._refuse_code(folder)
        self._require_safetensors(folder)
        return folder

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The content of `config.json`."""
        config = read_json(self.folder / "config.json")
        if not isinstance(config, dict):
            raise self.unusable("its config.json holds no JSON object")
        return config

    @property
    def architecture(self) -> str:
        """The class that the checkpoint was saved from, as it says itself; empty if it does not say."""
        return str(next(iter(self.config.get("architectures") or ()), ""))

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer, from `tokenizer.json`: without that file the library would quietly make an empty one."""
        if not (self.folder / "tokenizer.json").is_file():
            raise self.unusable("it has no tokenizer.json; save its tokenizer once more with a present transformers")
        tokenizer: PreTrainedTokenizerBase = self._open("AutoTokenizer")
        if tokenizer.pad_token_id is None:
            raise self.unusable("its tokenizer has no padding token, and batches need one")
        return tokenizer

    @cached_property
    def image_processor(self) -> Any:
        """What turns pixels into the model's input, on NumPy and Pillow."""
        return self._open("AutoImageProcessor", backend="pil")

    def load(self, loader: str, precision: str = FLOAT32, *, unused: str | None = None) -> PreTrainedModel:
        """Load the weights with the library's class `loader` onto `device()`, ready to infer.

        `ModelUnusable` is raised if a tensor is absent, which the library would fill with noise, or has another shape;
        tensors whose names begin with `unused` may be absent.
        """
        import torch

        torch.set_num_threads(1)
        torch.backends.cudnn.allow_tf32 = False  # float32 means float32, also in the convolutions of a GPU
        model, found = self._open(
            loader, use_safetensors=True, dtype=getattr(torch, precision), output_loading_info=True
        )
        missing = sorted(name for name in found["missing_keys"] if not (unused and name.startswith(unused)))
        if missing or found["mismatched_keys"]:
            wrong = [*missing, *(str(one[0]) for one in found["mismatched_keys"])]
            raise self.unusable(f"weights are missing or do not fit: {', '.join(wrong[:5])} ({len(wrong)} in all)")
        loaded: PreTrainedModel = model.requires_grad_(requires_grad=False).eval().to(device())
        return loaded

    def unusable(self, reason: str) -> ModelUnusable:
        """Give the error that says why this checkpoint cannot be used."""
        return ModelUnusable(f"the model {self.name} cannot be used: {reason}")

    def _open(self, loader: str, **options: Any) -> Any:
        if not self._download:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        import transformers
        from safetensors import SafetensorError

        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        kind = getattr(transformers, loader)
        try:
            return kind.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False, **options)
        except (*_LOADING, SafetensorError) as error:
            raise self.unusable(f"{loader} says: {error}") from error

    def _refuse_code(self, folder: Path) -> None:
        """Refuse a checkpoint that brings its own classes: even where the library has some, they compute another
        thing."""
        for path in sorted(folder.glob("*config.json")):
            if "auto_map" in read_json(path):
                raise self.unusable(
                    f"it brings its own code ({path.name} has auto_map), which is never run; choose a model whose "
                    "architecture transformers has itself"
                )

    def _require_safetensors(self, folder: Path) -> None:
        if any(folder.glob("*.safetensors")):
            return
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f"only {', '.join(pickled)}, and pickles are never opened" if pickled else "no weights"
        raise self.unusable(f"it has {found}; choose a model or revision that has model.safetensors")

    def _snapshot(self) -> Path:
        """Give the folder of the hub's snapshot: from the local cache, or fetched if that is allowed."""
        if not self._download:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from huggingface_hub import snapshot_download

        try:
            return Path(
                snapshot_download(
                    str(self._source.name),
                    revision=self._source.revision,
                    allow_patterns=[*READ_FILES, *_SUBFOLDERS],
                    ignore_patterns=list(_OTHER_RUNTIMES),
                    local_files_only=not self._download,
                )
            )
        except (OSError, ValueError, RuntimeError) as error:
            remedy = "see the error" if self._download else "set models.download, or name a local folder"
            raise self.unusable(f"{self.revision} cannot be had: {error}; {remedy}") from error


def device() -> str:
    """Decide where models compute: `cuda` if there is such a device, otherwise `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def arithmetic(precision: str = FLOAT32) -> str:
    """Name what computes: the library, the device and the number format."""
    return f"transformers=={importlib.metadata.version('transformers')} {device()} {precision}"


def read_json(path: Path) -> Any:
    """Give what a JSON file of a checkpoint holds; `ModelUnusable` if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnusable(f"{path} cannot be read: {error}; is this the folder of a whole model?") from error


def folder_digest(folder: Path) -> str:
    """SHA-256 (hex) over name and content of every file that is read from a checkpoint's folder."""
    digest = hashlib.sha256()
    for path in sorted(_read_paths(folder)):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _read_paths(folder: Path) -> Iterator[Path]:
    for pattern in (*READ_FILES, *_SUBFOLDERS):
        yield from folder.glob(pattern)

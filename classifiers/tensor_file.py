"""Tensors kept on disk as safetensors, verified by their digest each time they are read."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

Tensors = Mapping[str, NDArray[np.float32]]


def tensors_digest(tensors: Tensors) -> str:
    """SHA-256 (hex) over names, shapes and bytes, independent of how a file arranges them.

    >>> import numpy as np
    >>> tensors_digest({"a": np.zeros(2, np.float32)}) == tensors_digest({"a": np.zeros((1, 2), np.float32)})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name], dtype="<f4")
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tensors(path: Path, tensors: Tensors) -> None:
    """Put `tensors` at `path` whole or not at all, with their digest in `<path>.sha256`; concurrent writers do no
    harm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=path.name) as folder:
        whole, digest = Path(folder, "tensors"), Path(folder, "sha256")
        # the file takes memory as it lies, so that a transposed view would be written in the wrong order
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, whole)
        digest.write_text(tensors_digest(tensors))
        digest.replace(_digest_path(path))
        whole.replace(path)


def read_tensors(path: Path) -> Tensors | None:
    """Give the tensors at `path`, or None if they are absent, cut off or differ from their digest."""
    try:
        expected = _digest_path(path).read_text()
        tensors: Tensors = load_file(path)
    except (OSError, SafetensorError):
        return None
    return tensors if tensors_digest(tensors) == expected else None


def _digest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")

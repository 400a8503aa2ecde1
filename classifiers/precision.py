"""Whether a model computes in float32 or bfloat16 on this machine: measured once, kept beside the weights.

Processors differ: with AVX-512 BF16 or AMX the short format is several times faster, with AVX2 several times slower.
It also must not change what is said: vectors keep their direction, and an item's vector does not depend on its
neighbours.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from classifiers.zero_shot import Vectors

FLOAT32 = "float32"
BFLOAT16 = "bfloat16"

LEAST_SPEEDUP = 1.2
LEAST_COSINE = 0.999
MOST_DRIFT = 5e-5
"""Largest change of a cosine similarity by an item's neighbours in the batch; at `TEMPERATURE` it moves a score by
0.0005."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Measurement:
    """bfloat16 against float32: CPU seconds for the same item; where that pays, the worst cosine and the drift in a
    batch."""

    float32_s: float
    bfloat16_s: float
    least_cosine: float | None = None
    drift: float | None = None

    @property
    def faster(self) -> bool:
        """Whether bfloat16 is clearly faster here."""
        return self.bfloat16_s * LEAST_SPEEDUP < self.float32_s

    @property
    def precision(self) -> str:
        """Decide: bfloat16 where it is clearly faster and says the same, float32 otherwise.

        >>> Measurement(float32_s=1.0, bfloat16_s=0.4, least_cosine=0.9998, drift=0.0).precision
        'bfloat16'
        >>> Measurement(float32_s=1.0, bfloat16_s=0.4, least_cosine=0.9998, drift=0.002).precision
        'float32'
        >>> Measurement(float32_s=1.0, bfloat16_s=7.5).precision
        'float32'
        """
        if not self.faster or self.least_cosine is None or self.drift is None:
            return FLOAT32
        return BFLOAT16 if self.least_cosine > LEAST_COSINE and self.drift < MOST_DRIFT else FLOAT32


def measure_precision(
    float32: Callable[[Sequence[Item]], Vectors], bfloat16: Callable[[Sequence[Item]], Vectors], probe: Sequence[Item]
) -> Measurement:
    """Run both forms of a model over `probe` and compare time and vectors; stop after one item where bfloat16 is no
    faster."""
    first = probe[:1]
    timed = Measurement(_cpu_s(float32, first), _cpu_s(bfloat16, first))
    if not timed.faster:
        return timed
    expected, found, alone = float32(probe), bfloat16(probe), np.concatenate([bfloat16([item]) for item in probe])
    cosine = float((expected * found).sum(axis=1).min())
    drift = float(np.abs((alone - found) @ expected.T).max())
    return replace(timed, least_cosine=cosine, drift=drift)


def settled_precision(folder: Path, name: str, measure: Callable[[], Measurement]) -> str:
    """Give the precision that this machine settled on for the model `name`; measure it if there is none yet.

    The first process to finish writes `<folder>/precision-<name>.json`; others that measured meanwhile follow it, so
    that all workers of a machine give the same verdicts.
    """
    path = folder / f"precision-{name}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        measured = measure()
        _write_first(path, json.dumps({"precision": measured.precision, **asdict(measured)}))
    precision = json.loads(path.read_text())["precision"]
    return BFLOAT16 if precision == BFLOAT16 else FLOAT32


def _cpu_s(encode: Callable[[Sequence[Item]], Vectors], items: Sequence[Item]) -> float:
    encode(items)  # the first run allocates and chooses kernels
    started = time.thread_time()
    encode(items)
    return time.thread_time() - started


def _write_first(path: Path, text: str) -> None:
    """Write `path` whole, unless another process was first: a link refuses to replace."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    with suppress(FileExistsError):
        os.link(temporary, path)
    Path(temporary).unlink()

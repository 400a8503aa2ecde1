"""How a measurement prints: its table, and as the last line one JSON object of ratios."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil


@dataclass(frozen=True, slots=True)
class Ratio:
    """A measured ratio, what it should reach, and which way is better (`higher` or `lower`)."""

    name: str
    value: float
    aim: float | None
    better: str = "higher"


def print_report(
    benchmark: str, columns: Sequence[str], rows: Sequence[Sequence[object]], ratios: Sequence[Ratio]
) -> None:
    """Print the table, the ratios against their aims, and the JSON line."""
    cells = [[f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), *cells]:
        print(
            "  ".join(
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    print()
    for ratio in ratios:
        aim = (
            "stated"
            if ratio.aim is None
            else f"aim {'at least' if ratio.better == 'higher' else 'at most'} {ratio.aim:g}"
        )
        print(f"{ratio.name}: {ratio.value:.3f} ({aim})")
    found = {one.name: {"value": round(one.value, 4), "aim": one.aim, "better": one.better} for one in ratios}
    print(json.dumps({"benchmark": benchmark, "ratios": found}))


class PeakMemory:
    """Samples the resident memory of this process and all it started, less what is listed; peak in bytes."""

    def __init__(self, interval_s: float = 0.25) -> None:
        self.bytes = 0
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        this = psutil.Process()
        while not self._stop.wait(self._interval_s):
            total = 0
            for process in [this, *this.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.bytes = max(self.bytes, total)

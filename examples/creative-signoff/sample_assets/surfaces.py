"""Surfaces that fill the picture: wood, cloth, stone."""

from __future__ import annotations

import numpy as np

from sample_assets.canvas import Canvas, colour, mix, toned


def wood(seed: int, width: int = 1100, height: int = 800) -> Canvas:
    """Draw oak boards."""
    rng = np.random.default_rng(seed)
    canvas = Canvas(width, height)
    x, y = canvas.grid()
    boards = 5
    for board in range(boards):
        rows = slice(board * height // boards, (board + 1) * height // boards)
        middle, wobble = rng.uniform(0, height), rng.uniform(2.0, 6.0)
        bend = wobble * np.sin(x * rng.uniform(0.002, 0.006) + rng.uniform(0, 6)) * 6
        rings = np.sin(((y[rows] - middle) + bend) * 0.16 + 2.2 * np.sin((y[rows] + bend) * 0.035 + x * 0.0016))
        fine = rng.standard_normal((rows.stop - rows.start, width // 40 + 2)).repeat(40, axis=1)[:, :width] * 0.12
        tone = np.clip(0.5 + 0.30 * rings + fine, 0, 1).astype(np.float32)
        canvas.pixels[rows] = mix(colour("#8f6238"), colour("#d3a26b"), tone) * rng.uniform(0.88, 1.06)
        canvas.darken(canvas.rounded(-10, rows.start - 3, width + 20, 4, 1), 0.7)
    canvas.grain(seed, 0.02)
    return canvas


def linen(thread: str, seed: int, width: int = 1100, height: int = 800) -> Canvas:
    """Draw woven cloth."""
    rng = np.random.default_rng(seed)
    canvas = Canvas(width, height)
    x, y = canvas.grid()
    warp = np.sin(x * 1.05) * (0.7 + 0.5 * rng.standard_normal((1, width)))
    weft = np.sin(y * 1.05) * (0.7 + 0.5 * rng.standard_normal((height, 1)))
    over = np.sign(np.sin(x * 0.525) * np.sin(y * 0.525))
    fold = 0.16 * np.sin(x * 0.006 + y * 0.004) + 0.08 * np.sin(x * 0.013 - y * 0.009)
    tone = np.clip(0.58 + 0.16 * np.where(over > 0, warp, weft) + fold, 0, 1).astype(np.float32)
    canvas.pixels = mix(toned(colour(thread), 0.62), toned(colour(thread), 1.1), tone)
    return canvas


def terrazzo(seed: int, width: int = 1100, height: int = 800) -> Canvas:
    """Draw a terrazzo floor: chips of stone in pale cement."""
    rng = np.random.default_rng(seed)
    canvas = Canvas(width, height, colour("#ece6dc"))
    chips = [colour(code) for code in ("#c7694f", "#3f6b66", "#d9a94e", "#6d6a72", "#a9b7ad", "#2f3440")]
    for _ in range(420):
        x, y, size = rng.uniform(0, width), rng.uniform(0, height), rng.gamma(2.4, 5.0) + 4
        corners = np.sort(rng.uniform(0, 2 * np.pi, 6))
        outline = [
            (x + size * rng.uniform(0.6, 1.1) * np.cos(a), y + size * rng.uniform(0.6, 1.1) * np.sin(a))
            for a in corners
        ]
        canvas.paint(canvas.polygon(outline), chips[int(rng.integers(len(chips)))], 0.92)
    canvas.grain(seed, 0.012)
    return canvas

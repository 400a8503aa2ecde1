"""Landscapes, drawn from a seed: sky, sun, ranges of hills, the sea, a city by night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_assets.canvas import Canvas, Colour, Pixels, blended, blur, colour, enlarge, mix, ramp, toned


@dataclass(frozen=True, slots=True)
class Light:
    """The colours of one hour of the day, and where the sun stands (parts of the width and height)."""

    zenith: str
    horizon: str
    sun: str
    far: str
    near: str
    sun_x: float = 0.68
    sun_y: float = 0.40


MORNING = Light("#7fb2d9", "#fbe6c8", "#fff6de", "#a9c0cd", "#3d5f4a", 0.70, 0.36)
DUSK = Light("#2f3f73", "#f3a679", "#ffe3b0", "#8d7397", "#2b2440", 0.32, 0.50)
NOON = Light("#3f87c6", "#d5ecf7", "#ffffff", "#86aeba", "#4d8148", 0.80, 0.16)
MIST = Light("#b7c3c9", "#eee8df", "#fffdf6", "#c9cfd0", "#4f6360", 0.50, 0.34)


def _sky(width: int, height: int, light: Light, horizon: float) -> Canvas:
    small = Canvas(width // 4, height // 4)
    x, y = (axis * 4 for axis in small.grid())
    flat = np.zeros((small.height, small.width), np.float32)
    small.pixels = mix(colour(light.zenith), colour(light.horizon), ramp(-0.1 * height, horizon, y) + flat)
    away = np.hypot(x - light.sun_x * width, y - light.sun_y * height) / width
    small.lighten(np.exp(-((away / 0.30) ** 2)).astype(np.float32), 0.55, colour(light.sun))
    small.lighten(np.exp(-((away / 0.075) ** 2)).astype(np.float32), 0.75, colour(light.sun))
    canvas = Canvas(width, height)
    canvas.pixels = enlarge(small.pixels, width, height)
    canvas.paint(
        canvas.ellipse(light.sun_x * width, light.sun_y * height, width * 0.030, width * 0.030), colour(light.sun)
    )
    return canvas


def _ridge(width: int, rng: np.random.Generator, roughness: float) -> Pixels:
    x = np.linspace(0, 1, width, dtype=np.float32)
    line = np.zeros(width, np.float32)
    for octave in range(7):
        line += np.sin(2 * np.pi * (x * 1.15 * 2**octave + rng.uniform())) * rng.uniform(0.6, 1.0) * roughness**octave
    return line


def _clouds(canvas: Canvas, rng: np.random.Generator, top: float, bottom: float, count: int) -> None:
    puffs = np.zeros((canvas.height, canvas.width), np.float32)
    for _ in range(count):
        x, y, size = rng.uniform(0, canvas.width), rng.uniform(top, bottom), rng.uniform(36, 92)
        for _ in range(6):
            px, py = x + rng.uniform(-1.5, 1.5) * size, y + rng.uniform(-0.16, 0.10) * size
            puffs = np.maximum(
                puffs, canvas.ellipse(px, py, size * rng.uniform(0.5, 1.0), size * rng.uniform(0.12, 0.26))
            )
    canvas.lighten(blur(puffs, 16), 0.55)


def hills(
    light: Light,
    seed: int,
    *,
    water: bool = False,
    snow: bool = False,
    trees: bool = True,
    width: int = 1200,
    height: int = 800,
) -> Canvas:
    """Draw ranges of hills under the sun, each nearer one darker; a lake, snow or firs if asked for."""
    rng = np.random.default_rng(seed)
    horizon = height * 0.56
    canvas = _sky(width, height, light, horizon)
    _clouds(canvas, rng, height * 0.08, height * 0.30, 7)
    layers = 5
    for layer in range(layers):
        depth = layer / (layers - 1)
        roughness = 0.56 if snow and layer < 3 else 0.42
        lift = height * (0.135 if snow and layer < 3 else 0.055 - 0.016 * depth)
        line = horizon - height * 0.07 + depth * height * 0.40 - _ridge(width, rng, roughness) * lift
        mask, base = _range(canvas, light, line, depth)
        if snow and layer < 3:
            _snow(canvas, line, mask, rng, height * 0.085)
        if water and layer == 2:
            _lake(canvas, light, height * 0.70)
            break
        if trees and layer >= layers - 2:
            _firs(
                canvas,
                rng,
                line,
                (base[0] * 0.6, base[1] * 0.6, base[2] * 0.6),
                26 if layer == layers - 2 else 17,
                0.6 + 0.9 * depth,
            )
    canvas.grain(seed, 0.008)
    return canvas


def _range(canvas: Canvas, light: Light, line: Pixels, depth: float) -> tuple[Pixels, Colour]:
    """Paint one range of hills below its `line`, hazy along the top; `depth` is 0 far away and 1 in front."""
    _, y = canvas.grid()
    below = y - line[None, :]
    mask = np.clip(below + 0.5, 0, 1).astype(np.float32)
    base = blended(colour(light.far), colour(light.near), depth**1.2)
    low = toned(base, 0.74)
    high = blended(base, colour(light.horizon), 0.16 * (1 - depth))
    haze = np.exp(np.minimum(-below, 0) / (canvas.height * 0.20))
    canvas.paint(mask, mix(low, high, haze))
    return mask, base


def _snow(canvas: Canvas, line: Pixels, mask: Pixels, rng: np.random.Generator, deep: float) -> None:
    _, y = canvas.grid()
    edge = line + deep * (0.75 + 0.30 * _ridge(canvas.width, rng, 0.72))
    high = np.clip((float(np.median(line)) - line) / 60 + 0.75, 0, 1)
    cap = np.clip(edge[None, :] - y, 0, 3) / 3 * mask * high[None, :]
    facing = np.clip(-np.gradient(line), -1, 1)
    canvas.paint(
        cap, mix((0.74, 0.80, 0.88), (0.99, 0.99, 0.98), np.broadcast_to(ramp(-0.8, 0.5, facing)[None, :], mask.shape))
    )


def _lake(canvas: Canvas, light: Light, shore: float) -> None:
    row = int(shore)
    depth = canvas.height - row
    above = canvas.pixels[max(0, row - depth) : row][::-1][:depth]
    ripple = (np.sin(np.arange(depth) * 0.55) * np.linspace(0.4, 5.0, depth)).astype(int)
    mirrored = np.stack([np.roll(above[min(i, len(above) - 1)], ripple[i], axis=0) for i in range(depth)])
    fade = np.linspace(0.12, 0.42, depth, dtype=np.float32)[:, None, None]
    canvas.pixels[row:] = mirrored * (1 - fade) * 0.94 + np.array(colour(light.zenith), np.float32) * fade
    canvas.lighten(blur(canvas.rounded(-20, shore - 2, canvas.width + 40, 4, 2), 2), 0.35)


def _firs(canvas: Canvas, rng: np.random.Generator, line: Pixels, paint: Colour, count: int, scale: float) -> None:
    for x in np.sort(rng.uniform(0, canvas.width, count)):
        tall, foot = rng.uniform(46, 96) * scale, float(line[int(x)]) + 6
        path = [(float(x), foot - tall)]
        path += [
            (
                float(x) + tall * (0.06 + 0.05 * step + (0.05 if step % 2 == 0 else 0)),
                foot - tall * (0.84 - 0.12 * step),
            )
            for step in range(7)
        ]
        path += [(2 * float(x) - px, py) for px, py in reversed(path[1:])]
        canvas.paint(canvas.polygon(path), paint)


def beach(light: Light, seed: int, width: int = 1200, height: int = 800) -> Canvas:
    """Draw the sea with the sun's path on it, waves at the sand and a few sails."""
    rng = np.random.default_rng(seed)
    horizon = height * 0.48
    canvas = _sky(width, height, light, horizon)
    _clouds(canvas, rng, height * 0.06, height * 0.30, 8)
    x, y = canvas.grid()
    far: Colour = toned(colour(light.zenith), 0.82)
    water = np.clip(y - horizon + 0.5, 0, 1) + 0 * x
    canvas.paint(water, mix(far, colour("#3f9aa6"), ramp(horizon, height * 0.80, y) + 0 * x))
    glitter = np.sin(y * 0.9 + 3 * np.sin(x * 0.021 + y * 0.13)) * np.exp(
        -(((x - light.sun_x * width) / (40 + (y - horizon) * 0.55)) ** 2)
    )
    canvas.lighten(ramp(0.15, 0.9, glitter.astype(np.float32)) * water, 0.72, colour(light.sun))
    for sail_x, size in ((width * 0.22, 34), (width * 0.29, 22)):
        canvas.paint(
            canvas.polygon([(sail_x, horizon - size), (sail_x, horizon - 2), (sail_x + size * 0.55, horizon - 2)]),
            (0.98, 0.97, 0.94),
        )
        canvas.paint(
            canvas.polygon(
                [(sail_x - 3, horizon - size * 0.8), (sail_x - 3, horizon - 2), (sail_x - size * 0.36, horizon - 2)]
            ),
            colour("#d86b4f"),
        )
    shore = height * 0.80 + np.sin(np.linspace(0, 5, width)) * 16 + np.linspace(34, -34, width)
    for offset, paint, strength in (
        (-44, "#bfe3df", 0.55),
        (-16, "#ffffff", 0.85),
        (0, "#c9a77d", 1.0),
        (16, "#ead2ab", 1.0),
    ):
        edge = shore + offset + np.sin(np.linspace(0, 40, width) + offset) * 4
        canvas.paint(np.clip((y - edge[None, :]) / 6, 0, 1).astype(np.float32), colour(paint), strength)
    canvas.grain(seed, 0.009)
    return canvas


def city(seed: int, width: int = 1200, height: int = 800) -> Canvas:
    """Draw a skyline by night with lit windows."""
    rng = np.random.default_rng(seed)
    night = Light("#111a3a", "#7a5f8f", "#f7e9d0", "#4b466f", "#12142a", 0.78, 0.20)
    canvas = _sky(width, height, night, height * 0.8)
    for depth, base in ((0.0, "#3c3d66"), (0.5, "#25284a"), (1.0, "#131630")):
        x = -20.0
        while x < width:
            wide, tall = rng.uniform(56, 120), rng.uniform(0.24, 0.58) * height * (1.05 - 0.32 * depth)
            canvas.paint(canvas.rounded(x, height - tall, wide - 6, tall + 20, 3), colour(base))
            _windows(canvas, rng, x, height - tall, wide - 6, depth)
            x += wide
    canvas.grain(seed, 0.008)
    return canvas


def _windows(canvas: Canvas, rng: np.random.Generator, x: float, y: float, wide: float, depth: float) -> None:
    for row in np.arange(y + 16, canvas.height - 8, 22):
        for column in np.arange(x + 10, x + wide - 14, 17):
            if rng.uniform() < 0.34:
                left, top = max(0, int(column)), int(row)
                warm = np.array(colour("#ffd58a" if rng.uniform() < 0.8 else "#bfd8ff"), np.float32)
                canvas.pixels[top : top + 11, left : left + 8] = warm * (0.55 + 0.4 * depth)

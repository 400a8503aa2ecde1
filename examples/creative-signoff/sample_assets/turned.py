"""Turned objects: bottles, mugs, vases, lamps are a profile turned round an axis, lit by two soft boxes in a studio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sample_assets.canvas import Canvas, Colour, Pixels, blur, enlarge, mix, ramp, toned

TILT = 0.16
"""How far the camera looks down: a level circle appears as an ellipse of this height to width."""

KEY = np.array([-0.52, -0.55, 0.65], np.float32)
"""Direction to the main light: from the left, above, in front."""


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface takes light: its colour, how glossy it is, and how clear (0 opaque, 1 like window glass)."""

    paint: Colour
    gloss: float = 0.35
    clear: float = 0.0
    metal: float = 0.0


@dataclass(frozen=True, slots=True)
class Band:
    """A part of the surface in another material, from `top` to `bottom` (pixels on the axis)."""

    top: float
    bottom: float
    material: Material


def studio(width: int, height: int, wall: Colour, floor: Colour, seed: int) -> Canvas:
    """Set up an empty backdrop: wall runs into floor, brighter behind the object, darker in the corners."""
    small = Canvas(width // 8, height // 8)
    x, y = (axis * 8 for axis in small.grid())
    small.pixels = mix(wall, floor, np.broadcast_to(ramp(height * 0.50, height * 0.86, y), (small.height, small.width)))
    glow = np.exp(-(((x - width * 0.47) / (width * 0.42)) ** 2) - ((y - height * 0.42) / (height * 0.50)) ** 2)
    small.lighten(glow.astype(np.float32), 0.38)
    small.darken(ramp(0.38, 0.80, np.hypot((x - width / 2) / width, (y - height / 2) / height)), 0.22)
    canvas = Canvas(width, height)
    canvas.pixels = enlarge(small.pixels, width, height)
    canvas.grain(seed)
    return canvas


def ground_shadow(
    canvas: Canvas, x: float, y: float, radius: float, length: float = 2.2, strength: float = 0.45
) -> None:
    """Cast the soft shadow of something that stands at (x, y): dark where it touches, long and faint to the right."""
    lying = canvas.ellipse(
        x + radius * length * 0.42, y + radius * 0.10, radius * (1 + length * 0.42), radius * TILT * 1.35
    )
    canvas.darken(blur(lying, radius * 0.16), strength * 0.62)
    canvas.darken(
        blur(canvas.ellipse(x, y + radius * 0.03, radius * 1.03, radius * TILT * 1.2), max(4.0, radius * 0.05)),
        strength,
    )


class Turned:
    """The surface of one turned object, worked out once a pixel and then lit, labelled or cut."""

    def __init__(self, canvas: Canvas, x: float, profile: Sequence[tuple[float, float]], smooth: int = 6) -> None:
        """Take the axis at `x` and the profile as (y, radius) from top to bottom, rounded over `smooth` pixels."""
        self.canvas, self.x, self.profile = canvas, x, profile
        self.top, self.bottom = profile[0][0], profile[-1][0]
        axis = np.arange(canvas.height, dtype=np.float32)
        radius = np.interp(axis, [p[0] for p in profile], [p[1] for p in profile])
        kernel = np.hanning(2 * smooth + 3)
        self.radius_at = np.convolve(
            np.pad(radius, smooth + 1, mode="edge"), kernel / kernel.sum(), mode="valid"
        ).astype(np.float32)
        self._trace()

    def _trace(self) -> None:
        gx, gy = self.canvas.grid()
        reach = float(self.radius_at.max()) + 3
        self.columns = slice(max(0, int(self.x - reach)), min(self.canvas.width, int(self.x + reach) + 1))
        self.rows = slice(max(0, int(self.top) - 2), min(self.canvas.height, int(self.bottom + reach * TILT) + 3))
        dx = gx[:, self.columns] - self.x
        height = np.repeat(gy[self.rows], dx.shape[1], axis=1)
        along = height
        for _ in range(4):  # the front of the surface hangs lower in the picture than its axis: solve for the axis
            radius = self._radius(along)
            along = height - TILT * np.sqrt(np.maximum(radius**2 - dx**2, 0))
        self.along, radius = along, self._radius(along)
        side = np.clip(dx / np.maximum(radius, 1e-3), -1, 1)
        front = np.sqrt(1 - side**2)
        slope = np.gradient(self.radius_at)[np.clip(along, 0, self.canvas.height - 1).astype(np.int32)]
        length = np.sqrt(1 + slope**2)
        self.side, self.front, self.lean = side / length, front / length, -slope / length
        self.turn = np.arcsin(side) / np.pi  # -0.5 at the left edge, 0.5 at the right one
        inside = np.clip(radius - np.abs(dx) + 0.5, 0, 1)
        self.mask = (inside * np.clip(along - self.top + 0.5, 0, 1) * np.clip(self.bottom - along + 0.5, 0, 1)).astype(
            np.float32
        )

    def _radius(self, along: Pixels) -> Pixels:
        index = np.clip(along, 0, self.canvas.height - 1.001)
        low = index.astype(np.int32)
        return self.radius_at[low] + (self.radius_at[low + 1] - self.radius_at[low]) * (index - low)

    def paint(self, material: Material, bands: Sequence[Band] = ()) -> None:
        """Light the whole surface, and each band over it."""
        self._paint(self.mask, material)
        for band in bands:
            self._paint(self.mask * self._between(band.top, band.bottom), band.material)

    def print_on(self, label: Pixels, ink: Colour, top: float, bottom: float, spread: float = 0.7) -> None:
        """Wrap a printed label (mask h, w) round the front, from `top` to `bottom`, over `spread` of the half turn."""
        rows, columns = label.shape
        u = np.clip((self.turn / spread + 0.5) * columns, 0, columns - 1).astype(np.int32)
        v = np.clip((self.along - top) / (bottom - top) * rows, 0, rows - 1).astype(np.int32)
        where = (np.abs(self.turn) < spread / 2) & (self.along > top) & (self.along < bottom)
        self._blend(
            self.mask * label[v, u] * where, np.array(ink, np.float32) * (0.55 + 0.45 * self._diffuse())[..., None]
        )

    def close_top(self, material: Material) -> None:
        """Close the top with a flat lid, which catches more light than the sides."""
        radius = self.profile[0][1]
        bright: Colour = toned(material.paint, 1.12, 0.05)
        gx, gy = self.canvas.grid()
        self.canvas.paint(
            self.canvas.ellipse(self.x, self.top, radius, radius * TILT),
            mix(bright, material.paint, ramp(-1, 1, (gx - self.x) / radius + 0 * gy)),
        )

    def open_top(self, inside: Colour, rim: Colour, thickness: float, fill: Colour | None = None) -> None:
        """Open the top: a rim, the inner wall in the shade, and a drink in it if `fill` is given."""
        radius = self.profile[0][1]
        self.canvas.paint(self.canvas.ellipse(self.x, self.top, radius, radius * TILT), rim)
        inner = radius - thickness
        hole = self.canvas.ellipse(self.x, self.top, inner, inner * TILT)
        gx, gy = self.canvas.grid()
        shade = ramp(-1.0, 1.0, (gy - self.top) / (inner * TILT) + 0.4 * (self.x - gx) / inner)
        self.canvas.paint(hole, mix(toned(inside, 0.45), inside, shade))
        if fill:
            drop = inner * 0.10
            level = self.canvas.ellipse(self.x, self.top + drop, inner * 0.97, inner * 0.97 * TILT) * hole
            self.canvas.paint(
                level, mix(fill, toned(fill, 1.7, 0.06), ramp(-1.0, 1.2, (self.x - gx) / inner + 0.0 * gy))
            )

    def _between(self, top: float, bottom: float) -> Pixels:
        below_top, above_bottom = np.clip(self.along - top + 0.5, 0, 1), np.clip(bottom - self.along + 0.5, 0, 1)
        between: Pixels = below_top * above_bottom
        return between

    def _diffuse(self) -> Pixels:
        light = self.side * KEY[0] + self.lean * KEY[1] + self.front * KEY[2]
        lit: Pixels = (np.clip(light, 0, 1) * 0.66 + 0.34 + 0.12 * np.clip(self.side, 0, 1) ** 2).astype(np.float32)
        return lit

    def _blend(self, mask: Pixels, paint: Pixels) -> None:
        area = self.canvas.pixels[self.rows, self.columns]
        area += (paint - area) * mask[..., None]

    def _paint(self, mask: Pixels, material: Material) -> None:
        base = np.array(material.paint, np.float32)
        lit = base * (self._diffuse() * (1 - 0.45 * material.metal))[..., None]
        if material.metal:
            bands = (
                0.55 * np.exp(-(((self.side + 0.42) / 0.16) ** 2))
                + 0.40 * np.exp(-(((self.side - 0.30) / 0.10) ** 2))
                - 0.30 * np.exp(-(((self.side + 0.05) / 0.14) ** 2))
            )
            lit = lit + base * (bands * material.metal)[..., None]
        area = self.canvas.pixels[self.rows, self.columns]
        if material.clear:
            through = area * (1 - (1 - base) * 0.55) * (0.55 + 0.45 * ramp(0.0, 0.75, self.front))[..., None]
            lit = lit + (through - lit) * material.clear
        box = np.exp(-(((self.side + 0.62) / 0.085) ** 2)) + 0.35 * np.exp(-(((self.side - 0.80) / 0.06) ** 2))
        point = np.clip(self.side * -0.30 + self.lean * -0.42 + self.front * 0.857, 0, 1) ** 60
        shine = np.clip(
            (0.85 * box * ramp(0.75, 0.98, np.sqrt(1 - self.lean**2)) + 0.5 * point) * material.gloss, 0, 0.95
        )
        lit = lit + (1 - lit) * shine[..., None]
        self._blend(mask, lit.astype(np.float32))

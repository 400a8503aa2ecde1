"""The picture that everything is drawn on: light, shadow, anti-aliased shapes and type, in numpy and Pillow.

Colours are (r, g, b) from 0 to 1 in display space; positions and sizes are pixels, y grows downwards.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Pixels = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]
Point = tuple[float, float]

SUPERSAMPLE = 2


def colour(code: str) -> Colour:
    """Read a colour such as `#f4efe8`.

    >>> colour("#ff0000")
    (1.0, 0.0, 0.0)
    """
    red, green, blue = bytes.fromhex(code[1:])
    return red / 255, green / 255, blue / 255


def toned(paint: Colour, gain: float, lift: float = 0.0) -> Colour:
    """Give a colour darker (gain below 1) or lighter, at most white.

    >>> toned((0.5, 0.5, 1.0), 0.5, 0.25)
    (0.5, 0.5, 0.75)
    """
    red, green, blue = (min(1.0, part * gain + lift) for part in paint)
    return red, green, blue


def blended(a: Colour, b: Colour, share: float) -> Colour:
    """Give a colour between two.

    >>> blended((0.0, 0.0, 0.0), (1.0, 1.0, 0.5), 0.5)
    (0.5, 0.5, 0.25)
    """
    red, green, blue = (first + (second - first) * share for first, second in zip(a, b, strict=True))
    return red, green, blue


def ramp(low: float, high: float, values: Pixels) -> Pixels:
    """0 below `low`, 1 above `high`, a smooth step between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    smooth: Pixels = (t * t * (3 - 2 * t)).astype(np.float32)
    return smooth


def mix(a: Colour, b: Colour, t: Pixels) -> Pixels:
    """Blend two colours over a field of weights (h, w) into (h, w, 3)."""
    blended = np.empty((*t.shape, 3), np.float32)
    for channel, (first, second) in enumerate(zip(a, b, strict=True)):  # three long loops, not a million short ones
        np.multiply(t, second - first, out=blended[..., channel])
        blended[..., channel] += first
    return blended


class Canvas:
    """A picture of float32 pixels (h, w, 3) and the few ways to put something on it."""

    def __init__(self, width: int, height: int, fill: Colour = (1.0, 1.0, 1.0)) -> None:
        """Start with one colour all over."""
        self.width, self.height = width, height
        self.pixels: Pixels = np.broadcast_to(np.array(fill, np.float32), (height, width, 3)).copy()

    def grid(self) -> tuple[Pixels, Pixels]:
        """Give the x (1, w) and y (h, 1) of every pixel's middle."""
        x = np.arange(self.width, dtype=np.float32)[None, :] + 0.5
        y = np.arange(self.height, dtype=np.float32)[:, None] + 0.5
        return x, y

    def paint(self, mask: Pixels, paint: Colour | Pixels, opacity: float = 1.0) -> None:
        """Lay a colour or a picture over the canvas where `mask` (h, w), 0 to 1, says so."""
        where = touched(mask)
        over = np.asarray(paint, np.float32)
        area = self.pixels[where]
        area += ((over if over.ndim == 1 else over[where]) - area) * (mask[where] * opacity)[..., None]

    def darken(self, mask: Pixels, strength: float, tint: Colour = (0.10, 0.09, 0.12)) -> None:
        """Cast a shadow: multiply towards `tint` where `mask` says so."""
        where = touched(mask)
        self.pixels[where] *= 1 - (mask[where] * strength)[..., None] * (1 - np.array(tint, np.float32))

    def lighten(self, mask: Pixels, strength: float, tint: Colour = (1.0, 1.0, 1.0)) -> None:
        """Add light (screen) where `mask` says so."""
        where = touched(mask)
        area = self.pixels[where]
        area += (1 - area) * (mask[where] * strength)[..., None] * np.array(tint, np.float32)

    def shape(
        self, points: Sequence[Point], margin: float, draw: Callable[[ImageDraw.ImageDraw, list[Point]], None]
    ) -> Pixels:
        """Give the anti-aliased mask (h, w) of what `draw` draws in white, larger than life, round `points`."""
        mask = np.zeros((self.height, self.width), np.float32)
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, right = max(0, int(min(xs) - margin) - 1), min(self.width, int(max(xs) + margin) + 2)
        top, bottom = max(0, int(min(ys) - margin) - 1), min(self.height, int(max(ys) + margin) + 2)
        if left < right and top < bottom:
            window = Image.new("L", ((right - left) * SUPERSAMPLE, (bottom - top) * SUPERSAMPLE), 0)
            draw(ImageDraw.Draw(window), [((x - left) * SUPERSAMPLE, (y - top) * SUPERSAMPLE) for x, y in points])
            mask[top:bottom, left:right] = mask_of(window.resize((right - left, bottom - top), Image.Resampling.BOX))
        return mask

    def polygon(self, points: Sequence[Point]) -> Pixels:
        """Give the mask of a filled polygon."""
        return self.shape(points, 0, lambda pen, path: pen.polygon(path, fill=255))

    def line(self, points: Sequence[Point], width: float) -> Pixels:
        """Give the mask of a line with round joints and ends."""
        r = width * SUPERSAMPLE / 2

        def draw(pen: ImageDraw.ImageDraw, path: list[Point]) -> None:
            pen.line(path, fill=255, width=max(1, round(2 * r)), joint="curve")
            for x, y in path if len(path) > 2 else (path[0], path[-1]):
                pen.ellipse((x - r, y - r, x + r, y + r), fill=255)

        return self.shape(points, width / 2, draw)

    def ellipse(self, x: float, y: float, rx: float, ry: float) -> Pixels:
        """Give the mask of an upright ellipse, its edge one pixel soft."""
        mask = np.zeros((self.height, self.width), np.float32)
        rows = slice(max(0, int(y - ry) - 1), max(0, int(y + ry) + 2))
        columns = slice(max(0, int(x - rx) - 1), max(0, int(x + rx) + 2))
        gx, gy = self.grid()
        distance = np.hypot((gx[:, columns] - x) / rx, (gy[rows] - y) / ry)
        mask[rows, columns] = np.clip((1 - distance) * min(rx, ry) + 0.5, 0, 1)
        return mask

    def rounded(self, x: float, y: float, width: float, height: float, radius: float) -> Pixels:
        """Give the mask of a rectangle with round corners."""
        mask = np.zeros((self.height, self.width), np.float32)
        rows = slice(max(0, int(y) - 1), max(0, int(y + height) + 2))
        columns = slice(max(0, int(x) - 1), max(0, int(x + width) + 2))
        gx, gy = self.grid()
        dx = np.abs(gx[:, columns] - x - width / 2) - width / 2 + radius
        dy = np.abs(gy[rows] - y - height / 2) - height / 2 + radius
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - radius
        mask[rows, columns] = np.clip(0.5 - outside, 0, 1)
        return mask

    def text(
        self,
        at: Point,
        words: str,
        size: float,
        paint: Colour,
        weight: int = 400,
        anchor: str = "ls",
        opacity: float = 1.0,
    ) -> None:
        """Set one line of type; `anchor` is Pillow's (ls: left end of the baseline, mm: middle)."""
        image = Image.new("L", (self.width, self.height), 0)
        ImageDraw.Draw(image).text(at, words, fill=255, font=font(round(size), weight), anchor=anchor)
        self.paint(mask_of(image), paint, opacity)

    def grain(self, seed: int, strength: float = 0.006) -> None:
        """Break up the banding of smooth gradients with the faint grain that every camera has."""
        noise = _noise(self.height, self.width)
        self.pixels += np.roll(noise, (seed * 37, seed * 101), (0, 1))[..., None] * np.float32(strength)

    def image(self) -> Image.Image:
        """Give the picture with 8 bits a channel."""
        return Image.fromarray((np.clip(self.pixels, 0, 1) * 255 + 0.5).astype(np.uint8), "RGB")


@cache
def _noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(height).standard_normal((height, width), dtype=np.float32)


def mask_of(image: Image.Image) -> Pixels:
    """Give an 8-bit grey image as a mask from 0 to 1."""
    return np.asarray(image, np.float32) / 255


def touched(mask: Pixels) -> tuple[slice, slice]:
    """Give the smallest window outside which a mask is zero, so that a small shape costs little on a large picture."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def enlarge(field: Pixels, width: int, height: int) -> Pixels:
    """Bring a smooth picture (h, w, 3) that was worked out small to its full size."""
    size = (width, height)
    return np.dstack(
        [
            np.asarray(Image.fromarray(np.ascontiguousarray(field[..., i])).resize(size, Image.Resampling.BICUBIC))
            for i in range(3)
        ]
    )


def blur(mask: Pixels, radius: float) -> Pixels:
    """Soften a mask; worked out at a quarter of the size, since what is blurred has no detail to lose."""
    height, width = mask.shape
    step = 4 if radius >= 8 else 1
    small = Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8), "L").resize(
        (max(1, width // step), max(1, height // step)), Image.Resampling.BOX
    )
    soft = small.filter(ImageFilter.GaussianBlur(radius / step))
    return mask_of(soft.resize((width, height), Image.Resampling.BICUBIC))


def curve(points: Sequence[Point], steps: int = 16) -> list[Point]:
    """Give a smooth closed outline through `points` (Catmull-Rom)."""
    ring = np.array(points, np.float64)
    p0, p1, p2, p3 = np.roll(ring, 1, 0), ring, np.roll(ring, -1, 0), np.roll(ring, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    path = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return [(float(x), float(y)) for x, y in path.transpose(1, 0, 2).reshape(-1, 2)]


@cache
def font(size: int, weight: int = 400) -> Any:
    """Give the typeface: Geist, which comes with Prefect, or Pillow's own where that is not there."""
    spec = importlib.util.find_spec("prefect")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(place).glob("server/**/Geist-VariableFont_wght.ttf")):
            face = ImageFont.truetype(str(file), size)
            face.set_variation_by_axes([weight])
            return face
    return ImageFont.load_default(size)


def jpeg(picture: Canvas | Image.Image, quality: int = 88) -> bytes:
    """Encode as JPEG without any metadata."""
    image = picture.image() if isinstance(picture, Canvas) else picture
    out = BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def png(picture: Canvas | Image.Image) -> bytes:
    """Encode as PNG; at most 256 colours, which suits charts and keeps them small."""
    image = picture.image() if isinstance(picture, Canvas) else picture
    out = BytesIO()
    image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()

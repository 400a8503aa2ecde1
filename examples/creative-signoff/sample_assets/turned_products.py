"""Product pictures of what is round: bottles, mugs, vases, lamps, candles, bowls."""

from __future__ import annotations

import numpy as np

from sample_assets.canvas import Canvas, Colour, Pixels, blur, colour, curve, toned
from sample_assets.turned import TILT, Band, Material, Turned, ground_shadow, studio

WIDTH, HEIGHT = 1000, 750
FLOOR_Y = 610.0
"""Where objects stand."""

BRASS = Material(colour("#c9a468"), 0.6, metal=0.8)
STEEL = Material(colour("#b9bec4"), 0.6, metal=0.8)
PAPER = Material(colour("#f4ecdb"), 0.05)


def _label(title: str, line: str) -> Pixels:
    label = Canvas(600, 300, (0, 0, 0))
    label.text((300, 118), title, 84, (1, 1, 1), 700, "mm")
    label.text((300, 205), line, 36, (1, 1, 1), 400, "mm")
    return label.pixels[..., 0]


def bottle(glass: str, wall: str, title: str, line: str, seed: int) -> Canvas:
    """Draw a glass bottle with a brass cap and a paper label."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#f3efe8"), seed)
    x = 490.0
    ground_shadow(canvas, x, FLOOR_Y, 108)
    body = Turned(
        canvas,
        x,
        [(112, 36), (176, 36), (184, 33), (238, 35), (278, 56), (318, 92), (356, 107), (592, 107), (612, 99)],
        12,
    )
    body.paint(Material(colour(glass), 0.8, clear=0.5), [Band(360, 562, PAPER), Band(100, 174, BRASS)])
    body.print_on(_label(title, line), colour("#2e3d36"), 384, 540, 0.74)
    body.close_top(BRASS)
    return canvas


def flacon(glass: str, wall: str, title: str, seed: int) -> Canvas:
    """Draw a low perfume flacon of clear glass with a wooden stopper."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#f5f0ea"), seed)
    x = 500.0
    ground_shadow(canvas, x, FLOOR_Y, 150)
    body = Turned(canvas, x, [(318, 40), (352, 42), (368, 92), (398, 142), (470, 152), (580, 152), (612, 128)], 14)
    body.paint(Material(colour(glass), 0.9, clear=0.72), [Band(452, 620, Material(colour(glass), 0.9, clear=0.42))])
    body.print_on(_label(title, "eau de toilette"), colour("#3b2c25"), 442, 562, 0.6)
    stopper = Turned(canvas, x, [(212, 50), (310, 50), (324, 44)], 4)
    stopper.paint(Material(colour("#8a5a36"), 0.25))
    stopper.close_top(Material(colour("#8a5a36")))
    return canvas


def mug(glaze: str, wall: str, seed: int, inside: str = "#f4ece2") -> Canvas:
    """Draw a stoneware mug, its handle to the right, filled with coffee."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#f6f0ea"), seed)
    x, paint = 470.0, colour(glaze)
    ground_shadow(canvas, x, FLOOR_Y, 150, length=2.6)
    ring = [(x + 120, 372), (x + 205, 358), (x + 246, 400), (x + 250, 452), (x + 222, 512), (x + 120, 540)]
    for width, shade in ((44.0, 0.62), (34.0, 0.80), (20.0, 0.96)):
        offset = (44 - width) * 0.16
        path = [(px - offset, py - offset) for px, py in curve(ring, 12)[: 12 * 5]]
        canvas.paint(canvas.line(path, width), (paint[0] * shade, paint[1] * shade, paint[2] * shade))
    glint = canvas.line([(px - 6, py - 9) for px, py in curve(ring, 12)[10:34]], 5)
    canvas.lighten(blur(glint, 3), 0.45)
    body = Turned(canvas, x, [(290, 152), (560, 150), (588, 140), (612, 118)], 12)
    raw = Material(colour("#cfb89a"), 0.05)
    body.paint(Material(paint, 0.5), [Band(578, 640, raw)])
    body.open_top(colour(inside), toned(paint, 1.12, 0.06), 9, colour("#2b170c"))
    return canvas


def vase(glaze: str, wall: str, seed: int, stems: bool = True) -> Canvas:
    """Draw a round vase, with three dry stems in it if asked for."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#f2ede6"), seed)
    x = 500.0
    ground_shadow(canvas, x, FLOOR_Y, 96, length=3.2)
    body = Turned(
        canvas, x, [(318, 46), (350, 40), (376, 46), (420, 104), (474, 142), (520, 142), (572, 110), (612, 74)], 34
    )
    material = Material(colour(glaze), 0.22)
    body.paint(
        material, [Band(440, 452, Material(colour("#f3e9da"), 0.1)), Band(462, 468, Material(colour("#f3e9da"), 0.1))]
    )
    body.open_top(colour("#5d5148"), material.paint, 6)
    if stems:
        _stems(canvas, x, seed)
    return canvas


def _stems(canvas: Canvas, x: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for lean, top in ((-96, 92), (18, 58), (104, 124)):
        path = [(x + lean * t**1.6, 320 - (320 - top) * t) for t in np.linspace(0, 1, 24)]
        canvas.paint(canvas.line(path, 4), colour("#8b7442"))
        for px, py in path[9:]:
            for side in (-1, 1):
                reach, drop = rng.uniform(13, 24), rng.uniform(7, 17)
                leaf = canvas.line([(px, py), (px + side * reach, py - drop)], rng.uniform(5, 8))
                canvas.paint(leaf, colour("#b99a57") if rng.uniform() < 0.5 else colour("#d6bd82"))


def table_lamp(shade: str, foot: str, wall: str, seed: int) -> Canvas:
    """Draw a table lamp that is switched on: a glowing shade on a turned foot."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#efe9e1"), seed)
    x = 500.0
    ground_shadow(canvas, x, FLOOR_Y, 92, length=2.8)
    base = Turned(
        canvas, x, [(330, 9), (420, 10), (440, 34), (486, 66), (540, 58), (574, 30), (590, 84), (612, 90)], 13
    )
    base.paint(Material(colour(foot), 0.55), [Band(586, 620, BRASS)])
    x_field, y_field = canvas.grid()
    halo = np.exp(-(((x_field - x) / 330) ** 2) - ((y_field - 240) / 260) ** 2).astype(np.float32)
    canvas.lighten(halo, 0.34, colour("#ffe2ad"))
    cone = Turned(canvas, x, [(112, 94), (362, 186)], 1)
    cone.paint(Material(colour(shade), 0.04))
    warm = np.exp(-(((x_field - x) / 120) ** 2) - ((y_field - 285) / 105) ** 2).astype(np.float32)
    inside = np.zeros_like(canvas.pixels[..., 0])
    inside[cone.rows, cone.columns] = cone.mask
    canvas.lighten(warm * inside, 0.80, colour("#ffdf9f"))
    canvas.paint(canvas.ellipse(x, 112, 94, 94 * TILT), colour("#fff3d6"))
    canvas.paint(canvas.ellipse(x, 112, 86, 86 * TILT), colour("#e7cf9d"))
    return canvas


def candle(wax: str, wall: str, title: str, seed: int) -> Canvas:
    """Draw a scented candle in a jar, burning."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#efe7df"), seed)
    x = 500.0
    ground_shadow(canvas, x, FLOOR_Y, 128)
    body = Turned(canvas, x, [(352, 130), (580, 130), (612, 118)], 10)
    body.paint(Material(colour(wax), 0.75, clear=0.15), [Band(424, 556, PAPER)])
    body.print_on(_label(title, "beeswax · 42 h"), colour("#4a3a2c"), 434, 548, 0.66)
    body.open_top(colour("#fff0d8"), colour("#e9dfd2"), 7, colour("#e7d3ab"))
    canvas.paint(canvas.line([(x, 352), (x + 1, 322)], 4), colour("#3a2d25"))
    x_field, y_field = canvas.grid()
    glow = np.exp(-(((x_field - x) / 150) ** 2) - ((y_field - 285) / 150) ** 2).astype(np.float32)
    canvas.lighten(glow, 0.6, colour("#ffd58a"))
    for scale, paint in ((1.0, "#ffb347"), (0.72, "#ffd873"), (0.42, "#fff6d0")):
        flame = curve(
            [
                (x, 330 - 86 * scale),
                (x + 17 * scale, 300),
                (x + 13 * scale, 322),
                (x, 330),
                (x - 13 * scale, 322),
                (x - 17 * scale, 300),
            ]
        )
        canvas.paint(blur(canvas.polygon(flame), 2), colour(paint))
    return canvas


def bowl(glaze: str, wall: str, fruit: str, seed: int) -> Canvas:
    """Draw a wide bowl with fruit in it."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#f4eee6"), seed)
    x = 500.0
    ground_shadow(canvas, x, FLOOR_Y, 128, length=3.0)
    inside = Turned(canvas, x, [(422, 232), (430, 226), (500, 196), (560, 134), (586, 86), (612, 84)], 22)
    canvas.paint(canvas.ellipse(x, 422, 232, 232 * TILT), colour("#efe4d4"))
    canvas.paint(canvas.ellipse(x, 424, 222, 222 * TILT), colour("#a58f79"))
    for px, py, radius in ((410, 378, 62), (586, 380, 64), (500, 344, 70), (458, 402, 58), (548, 404, 58)):
        _fruit(canvas, px, py, radius, colour(fruit))
    inside.paint(Material(colour(glaze), 0.4))
    return canvas


def _fruit(canvas: Canvas, x: float, y: float, radius: float, paint: Colour) -> None:
    gx, gy = canvas.grid()
    dx, dy = (gx - x) / radius, (gy - y) / radius
    depth = np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))
    light = np.clip(-0.52 * dx - 0.55 * dy + 0.65 * depth, 0, 1) * 0.7 + 0.36
    ball = canvas.ellipse(x, y, radius, radius)
    canvas.paint(ball, np.array(paint, np.float32) * light[..., None])
    canvas.lighten(blur(canvas.ellipse(x - radius * 0.36, y - radius * 0.42, radius * 0.16, radius * 0.12), 4), 0.6)
    canvas.paint(canvas.line([(x + 2, y - radius + 4), (x + 8, y - radius - 12)], 4), colour("#5b4326"))

"""Product pictures of what is not turned: watches, shoes, glasses, notebooks."""

from __future__ import annotations

import numpy as np

from sample_assets.canvas import Canvas, Colour, blur, colour, curve, mix, ramp, toned
from sample_assets.turned import studio
from sample_assets.turned_products import HEIGHT, WIDTH


def watch(strap: str, dial: str, wall: str, seed: int) -> Canvas:
    """Draw a wrist watch from above."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour(wall), seed)
    x, y = 500.0, 375.0
    band = canvas.polygon(
        [
            (x - 56, -5),
            (x + 56, -5),
            (x + 84, 230),
            (x + 84, 520),
            (x + 56, 755),
            (x - 56, 755),
            (x - 84, 520),
            (x - 84, 230),
        ]
    )
    shadow = np.maximum(np.roll(band, (10, 26), (0, 1)), canvas.ellipse(x + 26, y + 16, 186, 186))
    canvas.darken(blur(shadow, 16), 0.42)
    gx, _ = canvas.grid()
    across = np.broadcast_to(np.sqrt(np.clip(1 - ((gx - x + 8) / 112) ** 2, 0, 1)), band.shape)
    canvas.paint(band, mix((0.06, 0.05, 0.05), colour(strap), across.astype(np.float32)))
    for side in (-1, 1):
        for row in range(0, HEIGHT, 22):
            if abs(row - y) > 190:
                edge = 46 + 22 * (1 - min(1.0, abs(row - y) / 380))
                canvas.lighten(
                    canvas.line([(x + side * edge, row), (x + side * edge, row + 11)], 3), 0.4, colour("#e8d3b8")
                )
    _watch_case(canvas, x, y)
    _watch_dial(canvas, x, y, colour(dial))
    return canvas


def _watch_case(canvas: Canvas, x: float, y: float) -> None:
    canvas.paint(
        canvas.rounded(x + 168, y - 22, 34, 44, 9),
        mix((0.45, 0.46, 0.48), (0.86, 0.87, 0.88), ramp(y - 24, y + 10, canvas.grid()[1]) + 0 * canvas.grid()[0]),
    )
    gx, gy = canvas.grid()
    angle = np.arctan2(gy - y, gx - x)
    sheen = (0.62 + 0.20 * np.cos(2 * (angle + 0.8)) + 0.12 * np.cos(5 * angle + 1.0)).astype(np.float32)
    for radius, gain in ((178, 0.82), (170, 1.12), (152, 0.74)):
        canvas.paint(
            canvas.ellipse(x, y, radius, radius), np.clip(np.stack([sheen, sheen, sheen * 1.01], -1) * gain, 0, 1)
        )


def _watch_dial(canvas: Canvas, x: float, y: float, dial: Colour) -> None:
    gx, gy = canvas.grid()
    face = mix(dial, toned(dial, 1.25, 0.08), ramp(1.1, -0.8, ((gx - x) + (gy - y)) / 260))
    canvas.paint(canvas.ellipse(x, y, 145, 145), face)
    ink: Colour = (0.96, 0.95, 0.92) if sum(dial) < 1.4 else (0.13, 0.13, 0.15)
    for minute in range(60):
        sine, cosine = np.sin(minute * np.pi / 30), -np.cos(minute * np.pi / 30)
        inner, width = (116, 7.0) if minute % 5 == 0 else (130, 2.0)
        canvas.paint(
            canvas.line([(x + inner * sine, y + inner * cosine), (x + 137 * sine, y + 137 * cosine)], width), ink
        )
    canvas.text((x, y - 62), "NORDLICHT", 17, ink, 600, "mm")
    canvas.text((x, y + 70), "automatic", 14, ink, 400, "mm", 0.8)
    for turn, length, width, paint in (
        (10.15 / 12, 78, 10.0, ink),
        (9 / 60, 116, 7.0, ink),
        (36 / 60, 122, 2.5, colour("#d2603a")),
    ):
        tip = (x + length * np.sin(2 * np.pi * turn), y - length * np.cos(2 * np.pi * turn))
        hand = canvas.line([(x, y), tip], width)
        canvas.darken(blur(np.roll(hand, (5, 4), (0, 1)), 3), 0.4)
        canvas.paint(hand, paint)
    canvas.paint(canvas.ellipse(x, y, 9, 9), colour("#d2603a"))
    canvas.lighten(
        blur(canvas.polygon([(x - 120, y - 40), (x - 40, y - 120), (x + 10, y - 132), (x - 132, y + 10)]), 14), 0.20
    )


def sneaker(upper: str, accent: str, wall: str, seed: int) -> Canvas:
    """Draw a low sneaker from the side."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#f4f1ec"), seed)
    lying = canvas.ellipse(520, 590, 350, 26)
    canvas.darken(blur(lying, 20), 0.5)
    gx, gy = canvas.grid()
    body = curve(
        [
            (196, 300),
            (250, 262),
            (318, 268),
            (368, 300),
            (430, 352),
            (520, 400),
            (620, 428),
            (730, 446),
            (798, 486),
            (812, 540),
            (700, 556),
            (450, 556),
            (240, 556),
            (196, 520),
            (186, 420),
        ]
    )
    mask = canvas.polygon(body)
    light = ramp(720, 250, gy + 0.35 * (gx - 500))
    canvas.paint(mask, mix(toned(colour(upper), 0.62), colour(upper), light))
    lining = canvas.polygon(curve([(206, 302), (258, 270), (318, 276), (352, 300), (300, 322), (240, 326)])) * mask
    canvas.paint(lining, mix((0.12, 0.11, 0.12), (0.34, 0.32, 0.32), ramp(260, 330, gy) + 0 * gx))
    toe = (
        canvas.polygon(curve([(676, 440), (740, 448), (800, 488), (816, 545), (700, 560), (648, 548), (640, 480)]))
        * mask
    )
    canvas.paint(toe, mix(toned(colour(upper), 0.7), (1, 1, 1), light * 0.6))
    heel = canvas.polygon(curve([(186, 330), (236, 350), (256, 440), (250, 560), (190, 560), (176, 440)])) * mask
    canvas.paint(heel, colour(accent))
    swoosh = (
        canvas.polygon(curve([(300, 520), (380, 500), (480, 446), (560, 424), (500, 480), (420, 530), (330, 545)]))
        * mask
    )
    canvas.paint(swoosh, colour(accent))
    canvas.lighten(
        blur(canvas.polygon(curve([(330, 300), (430, 366), (560, 420), (540, 436), (400, 380)])), 14) * mask, 0.35
    )
    _laces(canvas)
    sole = canvas.polygon(
        curve(
            [
                (178, 540),
                (330, 552),
                (600, 552),
                (760, 544),
                (838, 540),
                (846, 576),
                (800, 600),
                (520, 602),
                (240, 602),
                (172, 590),
            ]
        )
    )
    canvas.paint(sole, mix((0.99, 0.98, 0.96), (0.66, 0.64, 0.62), ramp(545, 606, gy) + 0 * gx))
    canvas.paint(canvas.line([(186, 574), (400, 580), (640, 580), (838, 566)], 4), colour(accent))
    return canvas


def _laces(canvas: Canvas) -> None:
    for step in range(5):
        x, y = 356 + step * 46, 296 + step * 30
        lace = canvas.line([(x - 16, y + 46), (x + 34, y + 2)], 11)
        canvas.darken(blur(np.roll(lace, 5, 0), 4), 0.35)
        canvas.paint(lace, (0.97, 0.96, 0.94))


def sunglasses(frame: str, lens: str, wall: str, seed: int) -> Canvas:
    """Draw a pair of sunglasses from the front."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour("#f5f1ea"), seed)
    gx, gy = canvas.grid()
    outer = np.zeros_like(canvas.pixels[..., 0])
    inner = outer.copy()
    for side in (-1, 1):
        shape = [
            (500 + side * px, py)
            for px, py in ((40, 330), (120, 290), (250, 286), (318, 322), (312, 400), (250, 468), (150, 476), (72, 430))
        ]
        outer = np.maximum(outer, canvas.polygon(curve(shape)))
        small = [
            (500 + side * (181 + (px - 181) * 0.86), 380 + (py - 380) * 0.84)
            for px, py in ((40, 330), (120, 290), (250, 286), (318, 322), (312, 400), (250, 468), (150, 476), (72, 430))
        ]
        inner = np.maximum(inner, canvas.polygon(curve(small)))
        outer = np.maximum(outer, canvas.line([(500 + side * 308, 330), (500 + side * 346, 318)], 26))
    outer = np.maximum(outer, canvas.line([(452, 346), (480, 330), (520, 330), (548, 346)], 20))
    canvas.darken(blur(np.roll(outer, (120, 34), (0, 1)), 26), 0.34)
    canvas.paint(
        np.clip(outer - inner, 0, 1),
        mix(colour(frame), toned(colour(frame), 1, 0.28), ramp(500, 280, gy + 0.2 * (gx - 500))),
    )
    canvas.paint(
        inner,
        mix(colour(lens), toned(colour(lens), 1.7, 0.16), ramp(300, 480, gy) + 0 * gx),
        0.9,
    )
    for left in (236, 572):
        canvas.lighten(
            blur(canvas.polygon([(left, 450), (left + 92, 290), (left + 130, 290), (left + 34, 466)]), 5) * inner, 0.28
        )
    return canvas


def notebook(cover: str, band: str, wall: str, seed: int) -> Canvas:
    """Draw a closed notebook with an elastic band and a pencil beside it, from above."""
    canvas = studio(WIDTH, HEIGHT, colour(wall), colour(wall), seed)
    gx, gy = canvas.grid()
    book = canvas.rounded(300, 120, 340, 500, 16)
    canvas.darken(blur(np.roll(book, (20, 26), (0, 1)), 18), 0.46)
    canvas.paint(canvas.rounded(306, 128, 340, 500, 16), colour("#efe7d6"))
    canvas.paint(book, mix(colour(cover), toned(colour(cover), 0.74), ramp(250, 800, gx * 0.6 + gy * 0.6)))
    canvas.darken(canvas.line([(330, 122), (330, 618)], 3), 0.45)
    canvas.paint(canvas.rounded(592, 118, 14, 504, 3), colour(band))
    canvas.text((462, 330), "notes", 58, colour("#f2e9da"), 300, "mm", 0.9)
    pencil = canvas.line([(716, 180), (764, 560)], 18)
    canvas.darken(blur(np.roll(pencil, (12, 14), (0, 1)), 8), 0.4)
    canvas.paint(pencil, colour("#d9a441"))
    canvas.paint(canvas.line([(712, 180), (760, 560)], 5), colour("#eec675"))
    canvas.paint(canvas.polygon([(754, 556), (775, 553), (771, 604)]), colour("#e6cfa6"))
    canvas.paint(canvas.polygon([(766, 584), (772, 583), (771, 604)]), colour("#2d2a28"))
    canvas.paint(canvas.line([(715, 172), (718, 192)], 19), colour("#c96f63"))
    return canvas

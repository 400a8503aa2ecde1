"""Stylised portraits: invented people, head and shoulders, who look at the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sample_assets.canvas import Canvas, Pixels, blur, colour, curve, mix, ramp, toned


@dataclass(frozen=True, slots=True)
class Face:
    """What makes one stylised person: colours, hair (short, long, bun, curls), beard, glasses."""

    skin: str
    hair: str
    shirt: str
    backdrop: str
    style: str = "short"
    beard: bool = False
    glasses: bool = False


def portrait(face: Face, seed: int, width: int = 800, height: int = 1000) -> Canvas:
    """Draw head and shoulders of a stylised person who looks at the camera."""
    canvas = Canvas(width, height)
    x, y = canvas.grid()
    soft = np.exp(-(((x - width * 0.42) / (width * 0.62)) ** 2) - ((y - height * 0.36) / (height * 0.55)) ** 2)
    wall = colour(face.backdrop)
    canvas.pixels = mix(toned(wall, 0.66), toned(wall, 1.12, 0.05), soft.astype(np.float32))
    lit = ramp(1.25 * width, 0.15 * width, x + 0.35 * y)
    skin = mix(toned(colour(face.skin), 0.66), toned(colour(face.skin), 1.08, 0.02), lit)
    hair = mix(toned(colour(face.hair), 0.6), toned(colour(face.hair), 1.25, 0.05), lit)
    _hair_behind(canvas, face, hair)
    body = curve(
        [(400, 690), (500, 730), (640, 790), (716, 900), (740, 1040), (60, 1040), (84, 900), (160, 790), (300, 730)]
    )
    canvas.darken(blur(np.roll(canvas.polygon(body), (8, 26), (0, 1)), 24), 0.35)
    shirt = mix(toned(colour(face.shirt), 0.6), colour(face.shirt), lit)
    canvas.paint(canvas.polygon(body), shirt)
    neck = canvas.polygon(curve([(330, 590), (470, 590), (476, 700), (452, 764), (400, 792), (348, 764), (324, 700)]))
    canvas.paint(neck, skin * 0.86)
    canvas.darken(blur(canvas.ellipse(412, 660, 96, 44), 18) * neck, 0.42)
    for side in (-1, 1):
        canvas.paint(canvas.ellipse(400 + side * 158, 460, 24, 44), skin * 0.9)
    head = canvas.polygon(
        curve(
            [
                (400, 262),
                (500, 292),
                (556, 390),
                (550, 500),
                (508, 606),
                (436, 664),
                (364, 664),
                (292, 606),
                (250, 500),
                (244, 390),
                (300, 292),
            ]
        )
    )
    canvas.paint(head, skin)
    canvas.darken(blur(canvas.ellipse(590, 520, 110, 210), 40) * head, 0.30)
    _features(canvas, face, head, hair)
    _hair_before(canvas, face, hair)
    canvas.grain(seed, 0.008)
    return canvas


def _features(canvas: Canvas, face: Face, head: Pixels, hair: Pixels) -> None:
    if face.beard:
        beard = canvas.polygon(
            curve(
                [
                    (256, 500),
                    (300, 540),
                    (340, 560),
                    (400, 548),
                    (460, 560),
                    (500, 540),
                    (544, 500),
                    (512, 612),
                    (440, 676),
                    (360, 676),
                    (288, 612),
                ]
            )
        )
        canvas.paint(blur(beard, 5) * head, hair)
    canvas.lighten(blur(canvas.ellipse(318, 532, 46, 34), 20), 0.16, (1.0, 0.62, 0.5))
    canvas.lighten(blur(canvas.ellipse(484, 532, 46, 34), 20), 0.16, (1.0, 0.62, 0.5))
    for side in (-1, 1):
        x = 400 + side * 76
        canvas.paint(canvas.polygon(curve([(x - 32, 458), (x, 441), (x + 32, 458), (x, 471)])), (0.98, 0.97, 0.95))
        canvas.paint(canvas.ellipse(x, 456, 15, 15), colour("#4a3524"))
        canvas.paint(canvas.ellipse(x, 456, 7, 7), (0.05, 0.04, 0.04))
        canvas.paint(canvas.ellipse(x - 5, 450, 4, 4), (1.0, 1.0, 1.0))
        canvas.paint(canvas.line([(x - 33, 456), (x - 14, 443), (x + 14, 443), (x + 33, 456)], 5), colour("#2c1f18"))
        canvas.paint(canvas.line([(x - side * 40, 412), (x - side * 4, 399), (x + side * 40, 412)], 11), hair * 0.85)
        if face.glasses:
            canvas.paint(canvas.ellipse(x, 458, 56, 46) - canvas.ellipse(x, 458, 50, 40), colour("#2b2a2c"))
    if face.glasses:
        canvas.paint(canvas.line([(378, 452), (400, 446), (422, 452)], 6), colour("#2b2a2c"))
    canvas.darken(blur(canvas.line([(412, 440), (420, 500), (432, 536), (400, 548)], 7), 2), 0.26)
    canvas.paint(
        canvas.polygon(curve([(344, 596), (380, 585), (400, 590), (420, 585), (456, 596), (420, 620), (380, 620)])),
        colour("#b5574f"),
        0.85,
    )
    canvas.darken(canvas.line([(346, 597), (400, 600), (454, 597)], 3), 0.5)


def _hair_behind(canvas: Canvas, face: Face, hair: Pixels) -> None:
    if face.style == "long":
        canvas.paint(
            canvas.polygon(
                curve(
                    [
                        (400, 212),
                        (540, 256),
                        (604, 400),
                        (620, 640),
                        (600, 800),
                        (480, 770),
                        (320, 770),
                        (200, 800),
                        (180, 640),
                        (196, 400),
                        (260, 256),
                    ]
                )
            ),
            hair * 0.8,
        )
    elif face.style == "bun":
        canvas.paint(canvas.ellipse(400, 196, 76, 72), hair)
    elif face.style == "curls":
        for turn in np.linspace(-0.35, np.pi + 0.35, 17):
            canvas.paint(canvas.ellipse(400 + 190 * np.cos(turn), 400 - 168 * np.sin(turn), 58, 56), hair * 0.9)


_FRINGES: dict[str, Sequence[tuple[float, float]]] = {
    "short": [
        (244, 420),
        (238, 300),
        (320, 216),
        (440, 204),
        (540, 250),
        (566, 340),
        (556, 420),
        (530, 348),
        (440, 322),
        (330, 330),
        (268, 356),
    ],
    "long": [
        (238, 470),
        (222, 310),
        (310, 214),
        (430, 206),
        (546, 256),
        (580, 360),
        (566, 480),
        (520, 370),
        (452, 300),
        (340, 340),
        (268, 400),
    ],
    "bun": [
        (246, 430),
        (240, 310),
        (316, 232),
        (400, 220),
        (484, 232),
        (560, 310),
        (554, 430),
        (520, 344),
        (450, 300),
        (350, 300),
        (280, 344),
    ],
    "curls": [
        (250, 400),
        (240, 300),
        (320, 222),
        (400, 210),
        (480, 222),
        (560, 300),
        (550, 400),
        (510, 326),
        (440, 302),
        (360, 302),
        (290, 326),
    ],
}


def _hair_before(canvas: Canvas, face: Face, hair: Pixels) -> None:
    fringe = canvas.polygon(curve(_FRINGES[face.style]))
    canvas.darken(blur(np.roll(fringe, 14, 0), 9) * canvas.ellipse(400, 450, 156, 190), 0.24)
    canvas.paint(fringe, hair)
    canvas.lighten(blur(canvas.line([(292, 300), (350, 250), (430, 238)], 16), 9) * fringe, 0.22)

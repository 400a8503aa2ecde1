"""Posters, charts and a logo: what has type and numbers on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sample_assets.canvas import Canvas, Colour, blur, colour, curve, mix, ramp

INK = colour("#23282c")
ACCENTS = tuple(colour(code) for code in ("#2f6f6a", "#d9692b", "#e0b04c", "#7a5f8f", "#4f7fa8"))


def sale_poster(seed: int, offer: str = "20 % off tableware") -> Canvas:
    """Draw the poster of the spring sale: big type, overlapping petals."""
    canvas = Canvas(900, 1200, colour("#f6e9dc"))
    rng = np.random.default_rng(seed)
    for x, y, size, paint in ((640, 330, 190, "#e88f7a"), (280, 470, 150, "#f2bf5e"), (690, 640, 120, "#6f9c8c")):
        _flower(canvas, x, y, size, colour(paint), rng.uniform(0, 1))
    canvas.text((70, 880), "Spring", 196, colour("#2f4a43"), 800)
    canvas.text((76, 1010), f"sale, {offer}", 58, colour("#2f4a43"), 400)
    canvas.paint(canvas.rounded(76, 1068, 330, 64, 32), colour("#d9592b"))
    canvas.text((241, 1100), "from 20 March", 34, (1, 1, 1), 600, "mm")
    canvas.text((824, 1110), "nordlicht", 34, INK, 700, "rs")
    canvas.grain(seed, 0.006)
    return canvas


def _flower(canvas: Canvas, x: float, y: float, size: float, paint: Colour, turn: float) -> None:
    for petal in range(8):
        a = petal * np.pi / 4 + turn
        tip, side = (x + size * np.cos(a), y + size * np.sin(a)), size * 0.30
        left = (x + size * 0.6 * np.cos(a) - side * np.sin(a), y + size * 0.6 * np.sin(a) + side * np.cos(a))
        right = (x + size * 0.6 * np.cos(a) + side * np.sin(a), y + size * 0.6 * np.sin(a) - side * np.cos(a))
        canvas.paint(canvas.polygon(curve([(x, y), left, tip, right])), paint, 0.78)
    canvas.paint(canvas.ellipse(x, y, size * 0.2, size * 0.2), colour("#f8e3a3"))


def studio_poster(seed: int) -> Canvas:
    """Draw the poster of the open studio day: arches and a sun."""
    canvas = Canvas(900, 1200, colour("#24434a"))
    canvas.paint(canvas.ellipse(450, 470, 210, 210), colour("#f0b04f"))
    for step, paint in enumerate(("#e9dcc6", "#d9876a", "#7aa39a", "#f3ead7")):
        width = 640 - 140 * step
        arch = canvas.rounded(450 - width / 2, 420 + step * 70, width, 900, width / 2)
        canvas.paint(arch * (canvas.grid()[1] < 820), colour(paint), 0.96)
    canvas.text((450, 910), "OPEN STUDIO", 104, colour("#f6eddc"), 800, "mm")
    canvas.text((450, 1000), "Saturday and Sunday, 10 to 18 h", 42, colour("#f6eddc"), 400, "mm")
    canvas.text((450, 1066), "clay, glass, linen: see how it is made", 34, colour("#f0b04f"), 500, "mm")
    canvas.grain(seed, 0.006)
    return canvas


def picnic_poster(seed: int) -> Canvas:
    """Draw the poster of the picnic: a checked cloth, a plate and a headline."""
    canvas = Canvas(900, 1200, colour("#fbf5ea"))
    x, y = canvas.grid()
    check = ((x // 75 % 2) + (y // 75 % 2)).astype(np.float32) / 2
    canvas.pixels = mix(colour("#fbf5ea"), colour("#c9473f"), check * 0.9)
    canvas.darken(blur(canvas.ellipse(466, 470, 300, 300), 24), 0.4)
    for radius, paint in ((296, "#ffffff"), (276, "#efe9df"), (214, "#fbfaf6")):
        canvas.paint(canvas.ellipse(450, 450, radius, radius), colour(paint))
    canvas.text((450, 418), "picnic", 140, colour("#7a2420"), 800, "mm")
    canvas.text((450, 516), "in the botanical garden", 40, colour("#7a2420"), 400, "mm")
    canvas.paint(canvas.rounded(90, 920, 720, 190, 18), colour("#fbf5ea"))
    canvas.text((450, 982), "Bring a blanket, we bring the cake.", 40, INK, 600, "mm")
    canvas.text((450, 1050), "Sunday, 12 h, free entry", 36, colour("#c9473f"), 500, "mm")
    canvas.grain(seed, 0.006)
    return canvas


def night_poster(seed: int) -> Canvas:
    """Draw the teaser of the summer campaign: a night sky and little type."""
    canvas = Canvas(900, 1200)
    x, y = canvas.grid()
    canvas.pixels = mix(colour("#0e1738"), colour("#e07a5f"), ramp(100, 1240, y) + 0 * x)
    rng = np.random.default_rng(seed)
    for _ in range(120):
        size = rng.uniform(0.8, 2.6)
        canvas.lighten(canvas.ellipse(rng.uniform(0, 900), rng.uniform(0, 640), size, size), rng.uniform(0.4, 1.0))
    canvas.lighten(blur(canvas.ellipse(650, 300, 130, 130), 40), 0.5, colour("#ffe9c2"))
    canvas.paint(canvas.ellipse(650, 300, 92, 92), colour("#fff3da"))
    canvas.paint(
        canvas.polygon(curve([(-60, 1020), (220, 900), (460, 980), (700, 880), (980, 980), (980, 1260), (-60, 1260)])),
        colour("#161a35"),
    )
    canvas.text((70, 700), "long nights,", 120, colour("#fff3da"), 300)
    canvas.text((70, 820), "warm light.", 120, colour("#fff3da"), 700)
    canvas.text((70, 1130), "nordlicht, summer collection", 36, colour("#f0b04f"), 500)
    canvas.grain(seed, 0.007)
    return canvas


def newsletter_header() -> Canvas:
    """Draw a wide banner with a headline."""
    canvas = Canvas(1200, 400, colour("#dfe8df"))
    for step in range(9):
        canvas.paint(
            canvas.ellipse(700 + step * 66, 420 - (step % 3) * 46, 120, 120), ACCENTS[step % len(ACCENTS)], 0.82
        )
    canvas.text((64, 190), "What the spring brings", 76, INK, 700)
    canvas.text((66, 260), "New glazes, old forms, and a workshop in April", 34, INK, 400)
    canvas.text((66, 340), "nordlicht newsletter", 24, ACCENTS[0], 600)
    return canvas


def bar_chart(title: str, note: str, bars: Sequence[tuple[str, float]], unit: str) -> Canvas:
    """Draw a bar chart with values over the bars."""
    canvas = Canvas(1200, 800, (1.0, 1.0, 1.0))
    canvas.text((70, 92), title, 46, INK, 700)
    canvas.text((70, 138), note, 26, colour("#6b7277"), 400)
    highest, step = max(value for _, value in bars), 1060 / len(bars)
    for line in range(5):
        canvas.paint(canvas.rounded(70, 660 - line * 110, 1060, 2, 1), colour("#e3e6e8"))
    for index, (name, value) in enumerate(bars):
        tall, x = 430 * value / highest, 70 + step * index + step * 0.17
        canvas.paint(canvas.rounded(x, 660 - tall, step * 0.66, tall, 8), ACCENTS[0] if value < highest else ACCENTS[1])
        canvas.text((x + step * 0.33, 638 - tall), f"{value:g} {unit}", 27, INK, 600, "mm")
        canvas.text((x + step * 0.33, 700), name, 26, INK, 400, "mm")
    canvas.text((70, 764), "Source: nordlicht annual survey", 20, colour("#8b9297"), 400)
    return canvas


def donut_chart(title: str, parts: Sequence[tuple[str, float]]) -> Canvas:
    """Draw shares as a ring with a legend; the shares add up to 100."""
    canvas = Canvas(1200, 800, colour("#faf7f2"))
    canvas.text((70, 92), title, 46, INK, 700)
    x, y = canvas.grid()
    angle = (np.arctan2(x - 380, 450 - y) / (2 * np.pi)) % 1
    ring = canvas.ellipse(380, 450, 270, 270) - canvas.ellipse(380, 450, 160, 160)
    start = 0.0
    for index, (name, share) in enumerate(parts):
        inside = (angle >= start) & (angle < start + share / 100)
        canvas.paint(ring * inside, ACCENTS[index % len(ACCENTS)])
        row = 280 + index * 84
        canvas.paint(canvas.rounded(740, row - 26, 36, 36, 8), ACCENTS[index % len(ACCENTS)])
        canvas.text((800, row), name, 32, INK, 400)
        canvas.text((1120, row), f"{share:g} %", 32, INK, 700, "rs")
        start += share / 100
    canvas.text((380, 440), "100 %", 62, INK, 700, "mm")
    canvas.text((380, 494), "of all materials", 26, colour("#6b7277"), 400, "mm")
    return canvas


def line_chart(title: str, series: Sequence[tuple[str, Sequence[float]]], ticks: Sequence[str]) -> Canvas:
    """Draw several lines over the same ticks."""
    canvas = Canvas(1200, 800, (1.0, 1.0, 1.0))
    canvas.text((70, 92), title, 46, INK, 700)
    highest = max(max(values) for _, values in series)
    for line in range(6):
        canvas.paint(canvas.rounded(110, 660 - line * 96, 1020, 2, 1), colour("#e3e6e8"))
        canvas.text((96, 666 - line * 96), f"{highest * line / 5:.0f}", 22, colour("#6b7277"), 400, "rs")
    step = 1020 / (len(ticks) - 1)
    for index, tick in enumerate(ticks):
        canvas.text((110 + index * step, 702), tick, 22, INK, 400, "mm")
    for index, (name, values) in enumerate(series):
        path = [(110 + i * step, 660 - 480 * value / highest) for i, value in enumerate(values)]
        canvas.paint(canvas.line(path, 5), ACCENTS[index])
        for px, py in path:
            canvas.paint(canvas.ellipse(px, py, 9, 9), ACCENTS[index])
        canvas.text((110 + index * 300, 146), name, 27, ACCENTS[index], 600)
    return canvas


LOGO = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 160" width="480" height="160" role="img">
  <title>nordlicht</title>
  <defs>
    <linearGradient id="sky" x1="0" y1="0" x2="1" y2="1">
      <stop offset="0" stop-color="#2f6f6a"/>
      <stop offset="1" stop-color="#7a5f8f"/>
    </linearGradient>
  </defs>
  <rect x="16" y="16" width="128" height="128" rx="32" fill="url(#sky)"/>
  <path d="M36 112 C56 52 72 52 80 84 S104 116 124 44"
        fill="none" stroke="#f6eddc" stroke-width="12" stroke-linecap="round"/>
  <circle cx="112" cy="48" r="10" fill="#f0b04f"/>
  <path d="M176 104V64h10l22 26V64h11v40h-10l-22-26v26z" fill="#23282c"/>
  <path d="M236 84a21 21 0 1 0 42 0a21 21 0 1 0 -42 0z" fill="none" stroke="#23282c" stroke-width="11"/>
  <path d="M300 104V64h18c20 0 20 26 2 26l16 14M300 86h18" fill="none" stroke="#23282c" stroke-width="10"/>
</svg>
"""

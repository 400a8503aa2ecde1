"""A short film and a short jingle."""

from __future__ import annotations

import math
import wave
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from PIL import Image

from sample_assets.canvas import Canvas, colour

FRAMES_A_SECOND = 24
SAMPLES_A_SECOND = 22_050


def film(still: Image.Image, title: str, seconds: float = 3.0) -> bytes:
    """Film a slow move over a still picture, the title fading in; H.264 in MP4, 640 by 360."""
    out = BytesIO()
    size = (640, 360)
    card = _title_card(title, size)
    with av.open(out, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libx264", rate=FRAMES_A_SECOND, options={"crf": "27", "preset": "veryfast", "threads": "1"}
        )
        stream.width, stream.height, stream.pix_fmt, stream.time_base = *size, "yuv420p", Fraction(1, FRAMES_A_SECOND)
        count = int(seconds * FRAMES_A_SECOND)
        for number in range(count):
            picture = np.asarray(_moved(still, card, number / (count - 1), size))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _title_card(title: str, size: tuple[int, int]) -> Image.Image:
    canvas = Canvas(*size, (0.0, 0.0, 0.0))
    canvas.text((size[0] / 2, size[1] * 0.80), title, 46, (1.0, 1.0, 1.0), 700, "mm")
    return canvas.image().convert("L")


def _moved(still: Image.Image, card: Image.Image, progress: float, size: tuple[int, int]) -> Image.Image:
    wide = still.width * (0.92 - 0.22 * progress)
    tall = wide * size[1] / size[0]
    left, top = (still.width - wide) * (0.15 + 0.6 * progress), (still.height - tall) * 0.5
    frame = still.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + wide, top + tall))
    shown = min(1.0, max(0.0, (progress - 0.35) * 3))
    frame.paste(
        Image.new("RGB", size, tuple(round(c * 255) for c in colour("#fff6e4"))),
        mask=card.point(lambda v: int(v * shown)),
    )
    return frame


def jingle() -> bytes:
    """Play six soft bell tones, two seconds and a half; WAV, 16 bit mono."""
    time_s = np.arange(int(2.5 * SAMPLES_A_SECOND)) / SAMPLES_A_SECOND
    sound = np.zeros_like(time_s)
    for step, note in enumerate((0, 4, 7, 11, 12, 16)):
        since = np.clip(time_s - step * 0.22, 0, None)
        pitch = 392.0 * 2 ** (note / 12)
        bell = sum(np.sin(2 * math.pi * pitch * k * since) * np.exp(-since * (3.0 + 2.2 * k)) / k for k in (1, 2, 3))
        sound += bell * (since > 0)
    peak = np.abs(sound).max()
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLES_A_SECOND)
        file.writeframes((sound / peak * 0.7 * 32767).astype("<i2").tobytes())
    return out.getvalue()

"""Small files made on the fly."""

from __future__ import annotations

import io

from PIL import Image


def picture(form: str = "JPEG", seed: int = 0) -> bytes:
    """A small picture that is unlike those of other seeds."""
    buffer = io.BytesIO()
    shades = Image.linear_gradient("L").resize((160, 120)).rotate(37 * seed)
    Image.merge("RGB", (shades, shades.rotate(90 + seed), shades.rotate(180))).save(buffer, form)
    return buffer.getvalue()


def broken_picture() -> bytes:
    """A JPEG that was cut off in the middle."""
    whole = picture()
    return whole[: len(whole) // 2]

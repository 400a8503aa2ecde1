"""One picture of a recording: four frames of a film, the wave form of a sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import av
from PIL import Image, ImageDraw

from classifiers.errors import ContentBroken
from classifiers.thumbnails import THUMBNAIL_PX, frame_picture
from classifiers.tile_art import ACCENTS, STAGE

if TYPE_CHECKING:
    from av.audio import AudioStream
    from av.container import InputContainer
    from av.video import VideoStream

_FRAMES_AT: Final = (0.1, 0.35, 0.6, 0.85)  # of the length: the very first frame is often black
_DECODED_PIXELS_MAX: Final = 300_000_000  # of a film whose key frames are too few: 10 s of 1080p at 15 frames a second
_GAP_PX: Final = 4
_BARS: Final = 80
_HEARD_S: Final = 60.0  # a longer sound is heard at one moment for each bar
_PIECES: Final = 6  # decoded at each of them: the first ones after a jump may be silent (MP3's bit reservoir)
_QUIET: Final = 0.05  # of full loudness: what is quieter than this fills the picture in proportion only
_PARTS: Final = 8  # of one decoded piece of sound, each with its own loudness


def film_picture(container: InputContainer, video: VideoStream) -> Image.Image:
    """Draw up to four frames, spread over the film's length, two beside two; one frame alone fills the picture.

    Key frames are taken; where these are fewer than four and the film is small, it is decoded from its beginning.
    Raises ContentBroken where no frame can be decoded.
    """
    video.codec_context.thread_count = 1
    start, length = container.start_time or 0, container.duration or 0
    moments = [start + int(length * share) for share in _FRAMES_AT] if length else [start]
    frames = _key_frames(container, video, moments)
    if len(frames) < len(moments) and _is_small(container, video):
        frames = _passing_frames(container, video, moments) or frames
    if not frames:
        raise ContentBroken("no picture of this recording can be decoded")
    return _side_by_side(frames)


def _key_frames(container: InputContainer, video: VideoStream, moments: Sequence[int]) -> list[Image.Image]:
    """The key frames before these moments (µs), each once; a later one that cannot be decoded is left out."""
    video.codec_context.skip_frame = "NONKEY"
    frames = [_frame_after(container, video, moment) for moment in moments]
    if not any(frames):  # the only key frame lies before: take it
        frames = [_frame_after(container, video, container.start_time or 0)]
    different = {frame.pts: frame for frame in frames if frame is not None}
    return [frame_picture(frame) for frame in different.values()]


def _frame_after(container: InputContainer, video: VideoStream, moment: int) -> av.VideoFrame | None:
    """The first frame that can be decoded from a moment (µs) on, None where there is none."""
    try:
        container.seek(moment)
        return next(container.decode(video), None)
    except (av.FFmpegError, EOFError):
        return None


def _is_small(container: InputContainer, video: VideoStream) -> bool:
    rate = float(video.average_rate or 0)
    count = video.frames or rate * (container.duration or 0) / av.time_base
    return 0 < count * video.width * video.height <= _DECODED_PIXELS_MAX


def _passing_frames(container: InputContainer, video: VideoStream, moments: Sequence[int]) -> list[Image.Image]:
    """The first frame at or after each moment (µs), decoding frame after frame, up to a bounded number of pixels."""
    video.codec_context.skip_frame = "DEFAULT"
    wanted = [moment / av.time_base for moment in moments]
    found: list[Image.Image] = []
    try:
        container.seek(container.start_time or 0)
        for number, frame in enumerate(container.decode(video)):
            if len(found) == len(wanted) or number * video.width * video.height > _DECODED_PIXELS_MAX:
                break
            if frame.time is not None and frame.time >= wanted[len(found)]:
                found.append(frame_picture(frame))
    except (av.FFmpegError, EOFError):
        return found
    return found


def _side_by_side(frames: Sequence[Image.Image]) -> Image.Image:
    if len(frames) == 1:
        return frames[0]
    first = frames[0]
    scale = (THUMBNAIL_PX - _GAP_PX) / 2 / max(first.size)
    width, height = max(1, round(first.width * scale)), max(1, round(first.height * scale))
    rows = -(-len(frames) // 2)
    sheet = Image.new("RGB", (2 * width + _GAP_PX, rows * (height + _GAP_PX) - _GAP_PX), STAGE)
    for number, frame in enumerate(frames):
        row, column = divmod(number, 2)
        small = frame.resize((width, height), Image.Resampling.HAMMING)
        sheet.paste(small, (column * (width + _GAP_PX), row * (height + _GAP_PX)))
    return sheet


def sound_picture(container: InputContainer, sound: AudioStream) -> Image.Image | None:
    """Draw the wave form of a sound, from its beginning to its end; None where it cannot be decoded."""
    if getattr(sound, "codec_context", None) is None:  # coded in a way that the library does not know
        return None
    sound.codec_context.thread_count = 1
    length_s = (container.duration or 0) / av.time_base
    heard: list[float] = []
    try:
        pieces = _moments(container, sound, length_s) if length_s > _HEARD_S else _whole(container, sound)
        for loudness in pieces:
            heard.append(loudness)  # noqa: PERF402 — what was heard before a damage is drawn all the same
    except (av.FFmpegError, EOFError, ValueError):
        pass
    return _wave(heard) if heard else None


def _whole(container: InputContainer, sound: AudioStream) -> Iterator[float]:
    heard_s = 0.0
    for frame in container.decode(sound):
        yield from _loudness(frame)
        heard_s += frame.samples / (frame.sample_rate or 1)
        if heard_s > _HEARD_S:  # its length was not known or is a lie
            return


def _moments(container: InputContainer, sound: AudioStream, length_s: float) -> Iterator[float]:
    start = container.start_time or 0
    for bar in range(_BARS):
        container.seek(start + int(length_s * av.time_base * bar / _BARS))
        heard = islice(container.decode(sound), _PIECES)
        yield max((max(_loudness(frame)) for frame in heard), default=0.0)


def _loudness(frame: av.AudioFrame) -> list[float]:
    """The loudest sample of each part of a decoded piece, 0 to 1."""
    import numpy as np

    samples = frame.to_ndarray().astype(np.float32, copy=False)
    kind = frame.format.name.removesuffix("p")
    if kind == "u8":
        samples = samples - 128.0
    full = {"u8": 128.0, "s16": 2.0**15, "s32": 2.0**31}.get(kind, 1.0)
    loudest = np.abs(np.nan_to_num(samples)).max(axis=0) / full
    parts = [part for part in np.array_split(loudest, _PARTS) if part.size]
    return [min(float(part.max()), 1.0) for part in parts] or [0.0]


def _wave(heard: Sequence[float]) -> Image.Image:
    bars = [
        max(heard[_share(bar, len(heard)) : max(_share(bar + 1, len(heard)), _share(bar, len(heard)) + 1)])
        for bar in range(_BARS)
    ]
    size = (THUMBNAIL_PX, THUMBNAIL_PX * 3 // 4)
    picture = Image.new("RGB", size, STAGE)
    draw = ImageDraw.Draw(picture)
    step, scale = size[0] // _BARS, (size[1] * 0.42) / max(*bars, _QUIET)
    for number, loudness in enumerate(bars):
        half = max(1, round(loudness * scale))
        left, middle = number * step, size[1] // 2
        draw.rectangle((left, middle - half, left + step - 2, middle + half), fill=ACCENTS["audio"])
    return picture


def _share(bar: int, pieces: int) -> int:
    return bar * pieces // _BARS

"""What a sound or video file holds: length, picture size, and what it looks like: frames or a wave form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import av

from classifiers.embedded_metadata import read_tagged_rights
from classifiers.errors import ContentBroken, ContentTooLarge, ContentUnsupported
from classifiers.recording_pictures import film_picture, sound_picture
from classifiers.thumbnails import encode

if TYPE_CHECKING:
    from av.container import InputContainer

FRAME_PIXELS_MAX: Final = 8192 * 4320
_DEMUXERS: Final = {  # by the bytes' own type: left to guess, the library would follow playlists to other files
    "video/mp4": "mov", "video/quicktime": "mov", "video/3gpp": "mov", "audio/mp4": "mov",
    "video/webm": "matroska", "video/x-matroska": "matroska", "video/x-msvideo": "avi", "video/mpeg": "mpeg",
    "video/mp2t": "mpegts", "video/x-flv": "flv", "video/ogg": "ogg", "audio/ogg": "ogg", "audio/mpeg": "mp3",
    "audio/wav": "wav", "audio/flac": "flac",
}  # fmt: skip


def read_recording(file: BinaryIO, media_type: str) -> Iterator[Mapping[str, Any]]:
    """Give the findings of a recording, step by step: length and size, rights tags, a thumbnail.

    Raises ContentUnsupported, ContentTooLarge and ContentBroken.
    """
    if media_type not in _DEMUXERS:
        raise ContentUnsupported(
            f"{media_type} has no reader here; convert it to one of {', '.join(sorted(_DEMUXERS))}"
        )
    file.seek(0)
    try:
        with av.open(
            file, mode="r", format=_DEMUXERS[media_type], metadata_errors="replace", options={"protocol_whitelist": ""}
        ) as container:
            yield from _findings(container, media_type.startswith("video/"))
    except (av.FFmpegError, EOFError, ValueError) as problem:
        raise ContentBroken(f"no {media_type} can be read from these bytes ({problem})") from problem


def _findings(container: InputContainer, is_film: bool) -> Iterator[Mapping[str, Any]]:
    if container.duration:
        yield {"duration_s": round(container.duration / 1_000_000, 3)}
    yield {"embedded": read_tagged_rights(container.metadata)}
    if container.streams.audio and not (is_film and container.streams.video):  # what a sound's cover shows says little
        wave_form = sound_picture(container, container.streams.audio[0])
        if wave_form is not None:
            yield {"thumbnail": encode(wave_form)}
        return
    if not container.streams.video:
        raise ContentBroken("neither sound nor pictures are in this recording")
    video = container.streams.video[0]
    if video.codec_context is None:
        raise ContentUnsupported("the pictures of this recording are coded in a way that has no reader here")
    if video.width * video.height > FRAME_PIXELS_MAX:
        raise ContentTooLarge(f"{video.width} × {video.height} pixels a frame, at most {FRAME_PIXELS_MAX} are decoded")
    if not video.width or not video.height:
        raise ContentBroken("the pictures of this recording have no size")
    yield {"width": video.width, "height": video.height}
    yield {"thumbnail": encode(film_picture(container, video))}

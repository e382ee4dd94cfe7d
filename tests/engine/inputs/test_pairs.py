"""Pairs of texts: how they are read, refused, cut and told apart, beside Hugging Face's tokenizer and a reference by NumPy."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from helpers.bert_folders import VOCABULARY as BERT_VOCABULARY
from helpers.bert_folders import bert_folder, features, weights
from helpers.texts import LONGEST, VOCABULARY, TextBackbones

from tlapp.backbones.bert import Bert
from tlapp.contracts import BadExample, TextInput
from tlapp.engine.data import folders
from tlapp.engine.inputs import reader
from tlapp.engine.inputs.recognition import kind_of
from tlapp.engine.inputs.texts import Texts
from tlapp.engine.inputs.wordpiece import WordPiece
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

HARD = ("Hello, world! unaffable", "a", "naïve café RÉSUMÉ", "你好，世界。hello", "[SEP] [CLS] a", "🙂 ##able", "a\x00b\x07c",
        "?", "cat " * 40, "x" * 300, "hello world " * 9)  # fmt: skip
PAIRED = Texts(VOCABULARY, longest=LONGEST, max_length=8, pairs=True)


def ids(*words):
    return [VOCABULARY.index(word) for word in words]


def test_hard_pairs_give_the_ids_of_hugging_face(tmp_path, tensorflow):
    """At every length, so that each way of cutting is met: neither text, one of them, both, and an odd token left over."""
    tokenizers = pytest.importorskip("tokenizers")
    words = ("hello", "world", "un", "##aff", "##able", "cafe", "resume", "naive", "cat", *"[]?!,.#abcselp，。你好世界🙂")
    vocabulary = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *words)
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    theirs = tokenizers.BertWordPieceTokenizer(str(tmp_path / "vocab.txt"), lowercase=True, strip_accents=True)
    theirs._tokenizer.encode_special_tokens = True
    draw = random.Random(0)
    pairs = [(one, other) for one in HARD for other in HARD]
    pairs += [(" ".join(draw.choices(words, k=draw.randint(1, 12))), " ".join(draw.choices(words, k=9))) for _ in range(100)]
    piece = WordPiece(vocabulary)
    for length in (None, 12, 13):
        if length:
            theirs.enable_truncation(length, strategy="longest_first")
        expected = [each.ids for each in theirs.encode_batch(pairs)]
        rows = piece.ids(["\t".join(pair) for pair in pairs], length, pairs=True).numpy()
        assert [row[row != 0].tolist() for row in rows] == expected, length
        assert length is None or rows.shape == (len(pairs), length)


def test_the_features_of_pairs_are_those_of_the_reference(tmp_path, tensorflow):
    """Token types 0 for the first text and its marks, 1 for the second; a graph with type 0 alone differs."""
    loaded = Bert().load(str(bert_folder(tmp_path)))
    taken = Texts(BERT_VOCABULARY, longest=48, max_length=16, pairs=True)
    rows = np.stack([taken.read(pair)[0] for pair in ("good film\tthe day is not good", "a cat and a dog\tno", "x\ty")])
    segments = np.zeros_like(rows)
    for row, types in zip(rows.tolist(), segments, strict=True):
        first = row.index(3)
        types[first + 1 : row.index(3, first + 1) + 1] = 1
    answer = loaded.graph(rows, training=False)
    np.testing.assert_allclose(answer, features(weights(), rows, segments=segments), rtol=0, atol=2e-6)
    assert np.abs(answer - features(weights(), rows)).max() > 0.01


def test_pairs_are_read_and_shown(tensorflow):
    (row,) = PAIRED.read("Soup\tof APPLE")
    assert row.tolist() == [*ids("[CLS]", "soup", "[SEP]", "of", "apple", "[SEP]"), 0, 0]
    assert PAIRED.show([row]) == "soup [SEP] of apple" and PAIRED.title("Soup\tof APPLE") == '"Soup | of APPLE"'
    for same in ('["Soup", "of APPLE"]', '{"text": "Soup", "text2": "of\\tAPPLE"}'):
        assert PAIRED.read(same)[0].tolist() == row.tolist()
    assert PAIRED.read("moon " * 9 + "\tsoup")[0].tolist() == ids("[CLS]", *["moon"] * 4, "[SEP]", "soup", "[SEP]")


@pytest.mark.parametrize(("text", "words"), [
    ("soup", "expected two texts.*Received: one text"),
    ("a\tb\tc", "Received: 3 texts"),
    ("soup\t ", "its second text is empty"),
    ("\tsoup", "its first text is empty"),
    ("\x07\t\u200b", "no token in it"),
])  # fmt: skip
def test_what_is_no_pair_is_told(text, words, tensorflow):
    with pytest.raises(BadExample, match=words):
        PAIRED.read(text)


def test_tables_hold_pairs(tmp_path):
    table, lines, written = (tmp_path / name for name in ("a.csv", "a.jsonl", "splits.csv"))
    table.write_text("label,text2,Text\nx,wave,the\tsoup\ny,b,a\n")
    rows = [{"text": "the\tsoup", "text2": "wave", "label": "x"}, {"text": "a", "text2": "b", "label": "y"}]
    lines.write_text("\n".join(map(json.dumps, rows)))
    written.write_text("text\ttext2,label\nthe soup\twave,x\na\tb,y\n")
    for path in (table, lines, written):
        chosen = reader(TextInput(VOCABULARY, pairs=True), RunOptions(data=str(path)))
        assert chosen.pairs and kind_of(str(path)) == "text"
        found = folders.labelled("data", str(path), chosen).items
        assert [(item.source, item.label) for item in found] == [("the soup\twave", "x"), ("a\tb", "y")]


def test_pairs_and_single_texts_are_not_taken_for_each_other(tmp_path):
    pairs, single = tmp_path / "pairs.csv", tmp_path / "single.csv"
    pairs.write_text("text,text2,label\na,b,x\n")
    single.write_text("text,label\na,x\n")
    with pytest.raises(UserError, match="the backbone takes one: it has no second row of token types"):
        reader(TextBackbones().facts("small").input, RunOptions(data=str(pairs)))
    with pytest.raises(UserError, match=r"holds two texts a row \(text,text2\), and the model takes one"):
        folders.labelled("val", str(pairs), Texts(VOCABULARY))
    with pytest.raises(UserError, match="expected the columns text,text2,label"):
        folders.labelled("val", str(single), PAIRED)


def test_the_backbone_says_whether_it_takes_pairs(tmp_path):
    for types, takes in ((2, True), (1, False), (0, False)):
        assert Bert().facts(str(bert_folder(tmp_path / str(types), {"type_vocab_size": types}))).input.pairs is takes


def test_the_key_knows_pairs():
    assert PAIRED.key() != Texts(VOCABULARY, longest=LONGEST, max_length=8).key()
    assert "pairs" not in str(Texts(VOCABULARY).key()), "what is stored of single texts is found again"


def test_the_length_of_pairs_follows_from_both_texts(tensorflow):
    whole = Texts(VOCABULARY, longest=LONGEST, pairs=True)
    assert whole.fitted(["moon " * 9 + "\t" + "wave " * 9] * 5)[0].max_length == 32

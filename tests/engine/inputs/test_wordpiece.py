"""The tokenizer, beside Hugging Face's own on texts that are hard to get right."""

from __future__ import annotations

import random
import string
from pathlib import Path

import numpy as np
import pytest

from tlapp.engine.inputs.wordpiece import LONGEST_WORD, WordPiece
from tlapp.errors import UserError

tokenizers = pytest.importorskip("tokenizers")

WORDS = ("hello", "world", "un", "##aff", "##able", "cafe", "caf", "##e", "resume", "##s", "naive", "hold", "cat", "##cat")
SIGNS = "".join(sorted({*string.punctuation, *"。、，¿¡«»…–—€£©🙂👍🏽é"}))
LETTERS = string.ascii_letters + string.digits + "äöüßéñçøåæœıİΣσςдяשלאمرהकाกข你好世界日本語한글가나다かなカナ"
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *SIGNS,
              *dict.fromkeys(LETTERS), *(f"##{letter}" for letter in dict.fromkeys(LETTERS)), "\u1100", "##\u1161")  # fmt: skip

HARD = (
    "Hello, world! unaffable",
    "",
    "   \t\n\r ",
    "naïve café résumé RÉSUMÉ Ångström ÇA",
    "İstanbul ΣΑΣ ς straße ẞ ŒUVRE",
    "你好，世界。hello你world好 日本語カナ",
    "한글 가나다 \u1100\u1161",
    "🙂👍🏽🙂🙂 hello🙂world 👨\u200d👩\u200d👧",
    "a\x00b\x07c\x85d\ufffde\u200bf\u00adg\ufeffh",
    "a\u00a0b\u2003c\u3000d\u2028e\x0bf\x0cg",
    "e\u0301 e\u0301\u0323 \u0301 a\u0338b",
    "x" * 10_000,
    "cat" * (LONGEST_WORD // 3) + "s",
    "cat" * (LONGEST_WORD // 3) + "ss",
    "hello " * 300,
    "[CLS] [SEP] [PAD] [UNK] [MASK] ##able hello##able",
    "user@example.com $5.00 c'est l'été -- ... ??!",
    "unaffableq unaffableunaffable",
    "שלום مرحبا नमस्ते สวัสดี",
    "\u0378\ue000\U000f0000\U0010ffff \U0001f9ff",
)


def theirs(folder: Path, lowercase: bool, strip_accents: bool) -> object:
    """Hugging Face's tokenizer with the same vocabulary."""
    path = folder / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    made = tokenizers.BertWordPieceTokenizer(str(path), lowercase=lowercase, strip_accents=strip_accents)
    made._tokenizer.encode_special_tokens = True
    return made


@pytest.mark.parametrize(("lowercase", "strip_accents"), [(True, True), (True, False), (False, False), (False, True)])
def test_hard_texts_give_the_ids_of_hugging_face(tmp_path: Path, lowercase: bool, strip_accents: bool) -> None:
    other = theirs(tmp_path, lowercase, strip_accents)
    ids = WordPiece(VOCABULARY, lowercase, strip_accents).ids(HARD).numpy()
    for text, row in zip(HARD, ids, strict=True):
        expected = other.encode(text).ids  # type: ignore[attr-defined]
        assert row.tolist() == expected + [0] * (len(row) - len(expected)), text[:50]


def test_random_texts_of_every_script_give_the_ids_of_hugging_face(tmp_path: Path) -> None:
    draw = random.Random(0)
    blocks = ((0, 0x80), (0x80, 0x600), (0x900, 0x980), (0xE00, 0xE80), (0x2000, 0x2C00), (0x3000, 0x3130), (0x4E00, 0x4E80),
              (0xAC00, 0xAD00), (0xF900, 0xFB50), (0xFE10, 0xFE70), (0xFF00, 0xFFFF), (0x1F300, 0x1F700))  # fmt: skip
    texts = []
    for _ in range(1500):
        low, high = draw.choice(blocks)
        chars = [
            chr(draw.randrange(low, high)) if draw.random() < 0.4 else draw.choice(LETTERS + SIGNS + "   ") for _ in range(20)
        ]
        texts.append("".join(chars))
    expected = [each.ids for each in theirs(tmp_path, True, True).encode_batch(texts)]  # type: ignore[attr-defined]
    ids = WordPiece(VOCABULARY).ids(texts).numpy()
    assert [[number for number in row.tolist() if number] for row in ids] == expected


def test_bytes_that_are_no_utf_8_are_left_out() -> None:
    piece = WordPiece(VOCABULARY)
    broken = [b"hel\xfflo w\xc3orld", b"\xe4\xb8hello", b"\xed\xa0\x80hello", b"\xf8\x88\x80\x80\x80cat", b"\xe4"]
    whole = ["hello world", "hello", "hello", "cat", ""]
    assert np.array_equal(piece.ids(broken), piece.ids(whole))


def test_rows_are_cut_and_filled_to_a_length() -> None:
    piece = WordPiece(VOCABULARY)
    first, last, hello = (VOCABULARY.index(token) for token in ("[CLS]", "[SEP]", "hello"))
    rows = piece.ids(["hello hello hello hello", "hello", ""], 4).numpy()
    assert rows.dtype == np.int32
    assert rows.tolist() == [[first, hello, hello, last], [first, hello, last, 0], [first, last, 0, 0]]
    assert piece.ids(["hello"], 64).shape == (1, 64)
    assert piece.ids([], 8).shape == (0, 8)


def test_texts_are_measured_whatever_the_length() -> None:
    measured = WordPiece(VOCABULARY).measure(["hello " * 50, "hello жжж", ""])
    assert measured.lengths.tolist() == [52, 4, 2]
    assert measured.unknown.tolist() == [0, 1, 0]


def test_a_saved_model_with_a_tokenizer_inside_has_no_table_and_answers_alike(tmp_path: Path) -> None:
    import tensorflow as tf

    piece = WordPiece(VOCABULARY)
    module = tf.Module()
    module.serve = tf.function(lambda texts: piece.ids(texts, 32), input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    again = tf.saved_model.load(str(tmp_path / "saved"))
    assert np.array_equal(again.serve(tf.constant(HARD)), piece.ids(HARD, 32))
    graph = module.serve.get_concrete_function().graph.as_graph_def()
    kinds = {node.op for node in (*graph.node, *(node for each in graph.library.function for node in each.node_def))}
    assert not any("Table" in kind for kind in kinds)


def test_the_key_is_that_of_what_the_ids_depend_on() -> None:
    keys = {WordPiece(VOCABULARY, lower, strip).key for lower in (True, False) for strip in (True, False)}
    assert len(keys) == 4
    assert WordPiece((*VOCABULARY, "more")).key not in keys
    assert WordPiece(VOCABULARY).key in keys


@pytest.mark.parametrize("vocabulary", [("[UNK]", "[PAD]", "[CLS]", "[SEP]"), ("[PAD]", "[CLS]", "[SEP]", "a"), ()])
def test_a_vocabulary_that_is_none_of_bert_is_refused(vocabulary: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="vocabulary"):
        WordPiece(vocabulary)

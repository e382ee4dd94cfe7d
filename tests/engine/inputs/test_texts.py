"""Texts are read whole or refused in words: encodings, empty ones, lengths, and what data are taken for texts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.texts import LONGEST, VOCABULARY, write_texts

from tlapp.contracts import BadExample, TextInput
from tlapp.engine.data import folders
from tlapp.engine.data.streams import load
from tlapp.engine.inputs import packed, reader, unpacked, unread_by
from tlapp.engine.inputs.recognition import check_fits, kind_of
from tlapp.engine.inputs.texts import Texts
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

READER = Texts(VOCABULARY, longest=LONGEST, max_length=8)


def ids(*words):
    return [VOCABULARY.index(word) for word in words]


def test_a_text_is_a_row_of_ids(tensorflow):
    (row,) = READER.read("Soup of  APPLE ships")
    assert row.dtype == np.int32 and row.tolist() == [*ids("[CLS]", "soup", "of", "apple", "ship", "##s", "[SEP]"), 0]
    assert READER.show([row]) == "soup of apple ships"


def test_a_long_text_loses_its_end_and_keeps_its_mark(tensorflow):
    (row,) = READER.read("moon " * 30)
    assert row.tolist() == ids("[CLS]", *["moon"] * 6, "[SEP]")


@pytest.mark.parametrize("text", ["", "  \n ", "\u200b\x07"])
def test_a_text_without_a_token_is_told(text, tensorflow):
    with pytest.raises(BadExample, match=r"empty text|no token in it"):
        READER.read(text)


@pytest.mark.parametrize(
    ("encoding", "text", "words"),
    [
        ("cp1252", "caf\u00e9 au lait", "Windows-1252"),
        ("utf-16", "soup and bread", "UTF-16"),
        ("gb18030", "\u6c64\u548c\u9762\u5305\u5f88\u597d", "gb18030"),
    ],
)
def test_other_encodings_are_named(encoding, text, words, tmp_path, tensorflow):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(BadExample, match=f"is not UTF-8 but seems to be {words}"):
        READER.read(str(path))
    table = tmp_path / "a.csv"
    table.write_bytes(f"text,label\n{text},x\n{text},y\n".encode(encoding))
    with pytest.raises(UserError, match="is not UTF-8 but seems to be"):
        folders.labelled("data", str(table), READER)


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path, tensorflow):
    (tmp_path / "a.txt").write_bytes("soup".encode("utf-8-sig"))
    assert READER.read(str(tmp_path / "a.txt"))[0].tolist() == READER.read("soup")[0].tolist()


def test_json_lines_are_a_table(tmp_path):
    lines = [{"text": 'with "quotes", and\na line', "label": "a", "more": 1}, {"text": "sea \ud83d", "label": 2}]
    (tmp_path / "a.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    found = folders.labelled("data", str(tmp_path / "a.jsonl"), READER).items
    assert [(item.source, item.label) for item in found] == [('with "quotes", and\na line', "a"), ("sea \ufffd", "2")]
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": "b"}\n["text"]\n')
    with pytest.raises(UserError, match=r"line 2: expected an object"):
        folders.labelled("data", str(tmp_path / "bad.jsonl"), READER)
    (tmp_path / "cut.jsonl").write_text('{"text": "a", "label": "b"}\n{"text":')
    with pytest.raises(UserError, match=r"line 2: is not JSON"):
        folders.labelled("data", str(tmp_path / "cut.jsonl"), READER)


def test_class_folders_of_text_files(tmp_path, tensorflow):
    for label, text in (("food", "soup and bread"), ("sea", "wave and ship")):
        (tmp_path / label).mkdir()
        for number in range(6):
            (tmp_path / label / f"{number}.txt").write_text(f"{text} {'moon ' * number}")
    dataset = load(RunOptions(data=str(tmp_path), val_share=0.2, test_share=0.2), READER)
    stream = dataset.streams["train"]
    row = stream.examples.take([0])[0][0]
    with open(stream.files[0]) as file:
        assert stream.files[0].endswith(".txt") and row.tolist() == READER.read(file.read())[0].tolist()


def test_empty_texts_are_refused_or_left_out_and_copies_told(tmp_path, tensorflow):
    path = write_texts(tmp_path / "a.csv", each=12)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*(f"{line},train" for line in lines[1:]), f"{lines[1]},test", ",food,train"]))
    path.write_text(f"text,label,split\n{path.read_text()}\nwave,sea,test\nowl,night,test")
    with pytest.raises(UserError, match='1 text cannot be read: "": empty text'):
        load(RunOptions(data=str(path)), READER)
    notes = load(RunOptions(data=str(path), on_bad="skip"), READER).notes
    assert any(note.startswith("left out: 1 text cannot be read") for note in notes)
    assert any("the same text in train and test, 1 in all" in note for note in notes)


def test_the_length_follows_from_the_texts(tensorflow):
    whole = Texts(VOCABULARY, longest=LONGEST)
    texts = ["moon"] * 95 + ["moon " * 30] * 5
    fitted, notes = whole.fitted(texts)
    assert fitted.max_length == 16 and fitted.tensors[0].shape == (16,)
    assert notes == ["texts are cut at 16 tokens (option max_length): 5.0% of the training texts are longer and lose their end"]
    assert whole.fitted(["moon " * 100])[0].max_length == LONGEST
    assert "the most that the backbone takes" in whole.fitted(["moon " * 100])[1][0]
    chosen, notes = Texts(VOCABULARY, longest=LONGEST, max_length=24).fitted(texts)
    assert chosen.max_length == 24 and notes[0].startswith("option max_length=24: 5.0%")


def test_a_language_that_the_vocabulary_does_not_cover_is_told(tensorflow):
    assert Texts(VOCABULARY, longest=LONGEST).fitted(["soup and bread"] * 9)[1] == []
    (note,) = Texts(VOCABULARY, longest=LONGEST).fitted(["Suppe mit Brot"] * 9)[1]
    assert "100.0% of the training texts' tokens are unknown" in note and "does not cover their language" in note


def test_the_key_holds_the_tokenizer_and_the_length():
    keys = [READER.key(), Texts(VOCABULARY[:-1], max_length=8).key(), Texts(VOCABULARY, max_length=16).key()]
    keys.append(Texts(VOCABULARY, lowercase=False, max_length=8).key())
    assert len({json.dumps(key) for key in keys}) == 4
    assert unpacked(packed(READER)) == READER


def test_more_tokens_than_the_backbone_takes_are_refused():
    facts = TextInput(VOCABULARY, longest=LONGEST)
    assert reader(facts, RunOptions(max_length=32)).max_length == 32
    with pytest.raises(UserError, match="at most 64 tokens"):
        reader(facts, RunOptions(max_length=128))


def test_the_kind_of_data_is_told_by_their_looks(tmp_path):
    write_texts(tmp_path / "a.csv", each=1)
    (tmp_path / "b.csv").write_text("path,label\na.png,x\n")
    (tmp_path / "c.csv").write_text("values,label\n1 2,x\n")
    (tmp_path / "d.jsonl").write_text('{"label": "x", "text": "y"}\n')
    kinds = [kind_of(str(tmp_path / name)) for name in ("a.csv", "b.csv", "c.csv", "d.jsonl", "none.csv")]
    assert kinds == ["text", "image", None, "text", None]
    (tmp_path / "texts" / "food").mkdir(parents=True)
    (tmp_path / "texts" / "food" / "1.txt").write_text("soup")
    assert kind_of(str(tmp_path / "texts")) == "text"
    (tmp_path / "texts" / "food" / "1.jpg").write_text("")
    assert kind_of(str(tmp_path / "texts")) == "image", "the text says something of the picture"


def test_a_backbone_for_another_kind_is_refused_with_the_reason(tmp_path):
    path = write_texts(tmp_path / "a.csv", each=1)
    with pytest.raises(UserError, match=r"takes pictures, and .* holds texts, of which it knows nothing: what a network learns"):
        check_fits("image", RunOptions(data=str(path)))
    with pytest.raises(UserError, match="takes texts, and option data=builtin:digits holds pictures"):
        check_fits("text", RunOptions())
    check_fits("text", RunOptions(data=str(path)))


def test_what_is_for_pictures_is_not_read():
    assert set(unread_by(READER)) == {"augment", "resize", "image_size"}


def test_the_plain_classifier_takes_texts_without_words():
    texts = ["a", "🙂 🙂", "b", "🙁", "a a", "🙂", "b b", "🙁 🙁"]
    model = READER.plain_classifier().fit(texts, [0, 1, 2, 3] * 2)
    assert model.predict(["a", "🙂", "b", "🙁"]).tolist() == [0, 1, 2, 3]

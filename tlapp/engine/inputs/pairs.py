"""Pairs of texts: two columns of a table, or one text with a tab between the two; and how a pair is cut to a length."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import Any

from tlapp.engine.inputs.lines import JSON, opened
from tlapp.errors import UserError

BETWEEN = "\t"
COLUMNS = ("text", "text2")
COLUMN = BETWEEN.join(COLUMNS)
"""The column of a table that a run writes, whose cells hold both texts with a tab between them."""
NAMES = ("texts", "texts2")
"""Of what an exported model takes."""
WANTED = 'two texts: with a tab between them, or in JSON, ["a text", "another"]'


def in_table(path: str, taken: bool = True) -> bool:
    """Whether a table, which the option data names, holds pairs, by its header.

    Raises:
        UserError: it does, and they are not `taken` by the backbone.
    """
    if not path.lower().endswith((".csv", ".txt", *JSON)) or not os.path.isfile(path):
        return False
    try:
        with opened("data", path) as rows:
            header = {name.strip("\r\n ").lower() for name in rows.header}
    except UserError:  # told when it is read
        return False
    found = COLUMN in header or header.issuperset(COLUMNS)
    if found and not taken:
        words = "holds two texts a row (text,text2), and the backbone takes one: it has no second row of token types"
        raise UserError(f"{words}; join the two in the column text, or choose another backbone", path, option="data")
    return found


def check_column(header: Collection[str]) -> None:
    """Check that a table for a model of single texts holds no second ones.

    Raises:
        UserError: it does.
    """
    if COLUMNS[1] in header:
        raise UserError(f"holds two texts a row ({','.join(COLUMNS)}), and the model takes one; leave {COLUMNS[1]} out")


def columns_of(header: Collection[str]) -> tuple[str, ...]:
    """The columns of a table that hold a pair."""
    return (COLUMN,) if COLUMN in header else COLUMNS


def parsed(text: str) -> str:
    """A pair with a tab between its texts, however it was written; what is no pair stays as it is."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    texts = [value.get(name) for name in COLUMNS] if isinstance(value, dict) else value
    if not isinstance(texts, list) or len(texts) != len(COLUMNS) or not all(isinstance(each, str) for each in texts):
        return text
    return joined(texts)


def joined(texts: Collection[str]) -> str:
    """Two texts as one; tabs inside them become blanks, which are the same to the tokenizer."""
    return BETWEEN.join(text.replace(BETWEEN, " ") for text in texts)


def fault(text: str) -> str:
    """What is wrong with a pair; "" for nothing."""
    texts = text.split(BETWEEN)
    if len(texts) != len(COLUMNS):
        return f"expected {WANTED}. Received: {'one text' if len(texts) == 1 else f'{len(texts)} texts'}"
    return next(
        (f"its {name} text is empty" for name, each in zip(("first", "second"), texts, strict=True) if not each.strip()), ""
    )


def split(texts: Any) -> tuple[Any, Any]:
    """Strings (n,) to the first and the second texts of each."""
    import tensorflow as tf

    both = tf.strings.split(texts, BETWEEN, maxsplit=1).to_tensor("", shape=(None, 2))
    return both[:, 0], both[:, 1]


def together(first: Any, second: Any) -> Any:
    """The reverse of `split`."""
    import tensorflow as tf

    return tf.strings.join([tf.strings.regex_replace(first, BETWEEN, " "), second], BETWEEN)


def cut(first: Any, second: Any, room: int) -> tuple[Any, Any]:
    """Tokens of the two texts, ragged (n, None), so cut that they have `room`: the longer text first, as Hugging Face does it.

    Of two that are longer than half of it each gets half, and the longer one, or else the second, what is left over.
    """
    import tensorflow as tf

    lengths = first.row_lengths(), second.row_lengths()
    shorter = tf.minimum(tf.minimum(*lengths), room // 2)
    longer = tf.minimum(tf.maximum(*lengths), room - shorter)
    is_longer = lengths[0] > lengths[1]
    kept = tf.where(is_longer, longer, shorter), tf.where(is_longer, shorter, longer)
    return _beginnings(first, kept[0]), _beginnings(second, kept[1])


def _beginnings(tokens: Any, lengths: Any) -> Any:
    import tensorflow as tf

    places = tf.ragged.range(tokens.row_lengths())
    is_kept = places.flat_values < tf.gather(lengths, places.value_rowids())
    return tf.ragged.boolean_mask(tokens, tokens.with_flat_values(is_kept))

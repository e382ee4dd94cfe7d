"""BERT's tokenizer in TensorFlow's operations: one code for training, for serving, and inside a SavedModel.

It gives the ids of Hugging Face's BertTokenizer. Special tokens that a text spells, such as "[SEP]", are plain text. There is no
hash table and no file: the vocabulary is a constant, so that a SavedModel with a tokenizer inside needs no initialization.
Source: Schuster & Nakajima 2012, Japanese and Korean voice search; Devlin et al. 2019, BERT (greedy, longest match first).
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.inputs import pairs as of_pairs
from tlapp.engine.inputs.characters import Runs, runs
from tlapp.errors import UserError

LONGEST_WORD = 100
"""A word of more characters is unknown."""

PAD, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
INSIDE = "##"
"""What a token begins with that continues a word."""

VERSION = 1
"""Raise it whenever `ids` gives other numbers than before."""

_BUCKETS = 2**63 - 1
_FAILED = -1
_MEASURE = -1


class Measured(NamedTuple):
    """Of each text: how many tokens it has, [CLS] and [SEP] included, and how many of them are unknown; (n,) int32."""

    lengths: np.ndarray
    unknown: np.ndarray


class WordPiece:
    """Texts to ids.

    Args:
        vocabulary: tokens in the order of their ids.
        lowercase: whether texts are lower-cased.
        strip_accents: whether accents are taken off.
        phone: give the ids of MediaPipe's tokenizer instead, whatever the two before say.

    Raises:
        UserError: the vocabulary does not begin with [PAD], or lacks [UNK], [CLS] or [SEP].
    """

    def __init__(self, vocabulary: Sequence[str], lowercase: bool = True, strip_accents: bool = True, phone: bool = False):
        self.vocabulary, self.lowercase, self.strip_accents, self._phone = tuple(vocabulary), lowercase, strip_accents, phone
        self._id_of = {token: number for number, token in enumerate(self.vocabulary)}
        if missing := [token for token in (PAD, UNKNOWN, FIRST, LAST) if token not in self._id_of]:
            raise UserError(f"the vocabulary lacks {missing[0]}, which a tokenizer of BERT's kind needs")
        if self._id_of[PAD]:
            raise UserError(f"the vocabulary must begin with {PAD}. Received: {self.vocabulary[0]}")
        self._functions: dict[tuple[int | None, bool], Any] = {}

    @property
    def unknown(self) -> int:
        """The id of a word that the vocabulary does not cover."""
        return self._id_of[UNKNOWN]

    @property
    def key(self) -> str:
        """What `ids` depends on, as a digest."""
        facts = f"{VERSION} {unicodedata.unidata_version} {self.lowercase} {self.strip_accents}\n" + "\n".join(self.vocabulary)
        return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()

    def ids(self, texts: Any, max_length: int | None = None, pairs: bool = False) -> Any:
        """Ids (n, length) int32: [CLS], the tokens, [SEP], then 0s; of pairs [CLS], tokens, [SEP], tokens, [SEP], then 0s.

        Args:
            texts: a string tensor (n,), UTF-8; bytes that are no UTF-8 are left out.
            max_length: the length; longer texts lose their end, of a pair the longer one first. None for the longest text's own.
            pairs: each is two texts with a tab between them.
        """
        import tensorflow as tf

        def padded(texts: Any) -> Any:
            tokens = self._of_pairs(texts, max_length) if pairs else [self._tokens(texts)]
            if max_length is not None and not pairs:
                tokens = [tokens[0][:, : max_length - 2]]
            first, last = (tf.fill([tf.size(texts), 1], self._id_of[token]) for token in (FIRST, LAST))
            parts = [first, *(part for each in tokens for part in (each, last))]
            return tf.concat(parts, axis=1).to_tensor(0, shape=(None, max_length))

        return self._function((max_length, pairs), padded)(tf.convert_to_tensor(texts, tf.string))

    def _of_pairs(self, texts: Any, max_length: int | None) -> Any:
        first, second = map(self._tokens, of_pairs.split(texts))
        return (first, second) if max_length is None else of_pairs.cut(first, second, max_length - 3)

    def measure(self, texts: Any) -> Measured:
        """How long texts are, and how much of them is unknown, whatever the length that is used in the end."""
        import tensorflow as tf

        def counts(texts: Any) -> Any:
            tokens = self._tokens(texts)
            unknown = tf.reduce_sum(tf.cast(tokens == self.unknown, tf.int32), axis=1)
            return tf.cast(tokens.row_lengths(), tf.int32) + 2, unknown

        lengths, unknown = self._function((_MEASURE, False), counts)(tf.convert_to_tensor(texts, tf.string))
        return Measured(lengths.numpy(), unknown.numpy())

    def _function(self, key: tuple[int | None, bool], function: Callable[[Any], Any]) -> Any:
        """A function of texts, traced once."""
        import tensorflow as tf

        if key not in self._functions:
            signature = [tf.TensorSpec([None], tf.string)]
            self._functions[key] = tf.function(function, signature, autograph=False, jit_compile=False)
        return self._functions[key]

    def _tokens(self, texts: Any) -> Any:
        """Ids of each text without [CLS] and [SEP]: a ragged tensor (n, None) int32."""
        import tensorflow as tf

        words = tf.strings.split(normalized(texts, runs(self.lowercase, self.strip_accents, self._phone)))
        different, numbers = tf.unique(words.flat_values)
        vocabulary = Vocabulary.of(self._id_of, self.unknown)
        return words.with_values(tf.gather(vocabulary.pieces(different), numbers)).merge_dims(1, 2)


@functools.lru_cache(maxsize=4)
def tokenizer(vocabulary: tuple[str, ...], lowercase: bool, strip_accents: bool, phone: bool = False) -> WordPiece:
    """A tokenizer, made once."""
    return WordPiece(vocabulary, lowercase, strip_accents, phone)


def normalized(texts: Any, table: Runs) -> Any:
    """Texts (n,) with a blank or more between words, as a table says."""
    import tensorflow as tf

    codes = tf.strings.unicode_decode(texts, "UTF-8")
    run = tf.searchsorted(tf.constant(table.starts), codes.flat_values, side="right") - 1
    before, after = (tf.gather(tf.constant(part, tf.string), run) for part in (table.before, table.after))
    own = tf.strings.unicode_encode(codes.flat_values[:, None], "UTF-8")
    chars = tf.strings.join([before, tf.where(tf.gather(tf.constant(table.own), run), own, ""), after])
    return tf.strings.reduce_join(codes.with_flat_values(chars), axis=-1)


class Vocabulary(NamedTuple):
    """Tokens by their hash, as constants of a graph.

    Attributes:
        hashes: ascending, (n,) int64.
        tokens, ids: in the same order, (n,).
        longest: characters of the longest token.
        unknown: the id of what is none.
    """

    hashes: Any
    tokens: Any
    ids: Any
    longest: int
    unknown: int

    @classmethod
    def of(cls, ids: Mapping[str, int], unknown: int) -> Vocabulary:
        """Make the constants; inside a function that is traced, they are part of it."""
        import tensorflow as tf

        with tf.init_scope():
            hashes = tf.strings.to_hash_bucket_fast([*ids], _BUCKETS).numpy()
        order = np.argsort(hashes)
        tokens = np.array([token.encode() for token in ids], object)[order]
        numbers = np.fromiter(ids.values(), np.int32)[order]
        longest = max(len(token.removeprefix(INSIDE)) for token in ids)
        return cls(tf.constant(hashes[order]), tf.constant(tokens, tf.string), tf.constant(numbers), longest, unknown)

    def find(self, tokens: Any) -> Any:
        """The ids of tokens, of any shape; -1 for what is none."""
        import tensorflow as tf

        hashes = tf.reshape(tf.strings.to_hash_bucket_fast(tokens, _BUCKETS), [-1])
        place = tf.reshape(tf.minimum(tf.searchsorted(self.hashes, hashes), self.hashes.shape[0] - 1), tf.shape(tokens))
        return tf.where(tf.gather(self.tokens, place) == tokens, tf.gather(self.ids, place), -1)

    def pieces(self, words: Any) -> Any:
        """The tokens of each of some words (n,), the longest match first: a ragged tensor (n, None) int32."""
        import tensorflow as tf

        lengths = tf.strings.length(words, unit="UTF8_CHAR")
        whole = self.find(words)
        whole = tf.where((whole < 0) & (lengths > LONGEST_WORD), self.unknown, whole)
        rest = tf.cast(tf.where(whole < 0)[:, 0], tf.int32)
        split = self._split(tf.gather(words, rest), tf.gather(lengths, rest))
        every = tf.range(tf.size(words))
        place = tf.tensor_scatter_nd_update(every, rest[:, None], tf.size(words) + tf.range(tf.size(rest)))
        return tf.gather(tf.concat([tf.RaggedTensor.from_tensor(whole[:, None]), split], axis=0), place)

    def _split(self, words: Any, lengths: Any) -> Any:
        """As `pieces`, for words that are no token: all of them at once, a token a turn."""
        import tensorflow as tf

        count = tf.size(words)

        def unfinished(starts: Any, columns: Any) -> Any:
            return tf.reduce_any(starts < lengths)

        def match(starts: Any, columns: Any) -> Any:
            rows = tf.where(starts < lengths)
            start, length = tf.gather_nd(starts, rows), tf.gather_nd(lengths, rows)
            number, end = self._match(tf.gather_nd(words, rows), start, length)
            column = tf.scatter_nd(rows, tf.where(number < 0, _FAILED, number + 1), tf.shape(starts, tf.int64))
            return tf.tensor_scatter_nd_update(starts, rows, end), tf.concat([columns, column[:, None]], axis=1)

        nothing = (tf.zeros([count], tf.int32), tf.zeros([count, 0], tf.int32))
        shapes = (tf.TensorShape([None]), tf.TensorShape([None, None]))
        _, columns = tf.while_loop(unfinished, match, nothing, shapes)
        failed = tf.reduce_any(columns == _FAILED, axis=1)
        columns = tf.where(failed[:, None], 0, columns)
        columns = tf.concat([tf.where(failed, self.unknown + 1, 0)[:, None], columns], axis=1)
        there = columns > 0
        return tf.RaggedTensor.from_row_lengths(columns[there] - 1, tf.reduce_sum(tf.cast(there, tf.int64), axis=1))

    def _match(self, words: Any, start: Any, length: Any) -> tuple[Any, Any]:
        """The longest token at a place in each word, -1 for none, and where it ends, at the word's end for none."""
        import tensorflow as tf

        ends = tf.minimum(start[:, None] + tf.range(self.longest, 0, -1), length[:, None])
        starts = tf.broadcast_to(start[:, None], tf.shape(ends))
        pieces = tf.strings.substr(words[:, None], starts, ends - starts, "UTF8_CHAR")
        numbers = self.find(tf.where(starts > 0, INSIDE, "") + pieces)
        best = tf.argmax(numbers >= 0, axis=1, output_type=tf.int32)
        number = tf.gather(numbers, best, batch_dims=1)
        return number, tf.where(number < 0, length, tf.gather(ends, best, batch_dims=1))

"""Words of a text column as 64-bit hashes: vectorised, stable across machines.

A token is a run of letters and digits in lower case. Pairs of neighbours are tokens too, so
that a phrase of innocent words is visible. Hashes are counted instead of words: memory is bounded,
and a baseline reveals no text but the words that its owner chooses to name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluicegate.profiling.buffers import plain, primitive

Hashes = NDArray[np.uint64]
_MAX_CHARACTERS = 20_000  # of one document; a longer one is judged by its beginning
_SEPARATORS = r"[^\pL\pN_]+"
_DOCS = 1 << 16  # of which the number fits into 16 bits
_DOC_SHIFT, _HASH_SHIFT = np.uint64(48), np.uint64(16)
_BLOCK = 1 << 14  # hashes that stay in a processor's cache while they are scrambled


@dataclass(frozen=True, slots=True)
class Tokens:
    """Distinct tokens of each document, sorted by document.

    The lowest bit of a hash says whether it is a word (0) or a pair of neighbours (1).

    Attributes:
        n_docs: Number of documents.
        doc: Document of each token, int64, shape (n_tokens,), not decreasing.
        hash: Hash of each token, uint64, same shape, increasing within a document.
        words: Each single word that occurs, by its hash.
    """

    n_docs: int
    doc: NDArray[np.int64]
    hash: Hashes
    words: dict[int, str]

    def of_docs(self, chosen: NDArray[np.bool_]) -> Tokens:
        """Return the tokens of some documents; the others become empty.

        Args:
            chosen: bool, shape (n_docs,).
        """
        used = chosen[self.doc]
        return Tokens(self.n_docs, self.doc[used], self.hash[used], self.words)


def mix(values: Hashes) -> Hashes:
    """Scramble 64-bit integers; different ones stay different.

    Args:
        values: uint64, any shape.

    Returns:
        uint64, same shape.

    Source: SplitMix64, Steele, Lea and Flood 2014.
    """
    mixed: Hashes = np.add(values, np.uint64(0x9E3779B97F4A7C15), order="C")
    flat = mixed.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        z = flat[start : start + _BLOCK]
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return mixed


def tokenize(array: pa.Array) -> Tokens:
    """Return the tokens of a string column; null counts as an empty document.

    Cost: about 6 us for a document of 20 words.
    """
    texts = pc.utf8_slice_codeunits(
        pc.utf8_lower(pc.fill_null(pc.cast(plain(array), pa.large_string()), "")),
        0,
        _MAX_CHARACTERS,
    )
    lists = pc.split_pattern_regex(texts, _SEPARATORS)
    lengths = primitive(pc.cast(pc.list_value_length(lists), pa.int64()), np.int64).astype(np.int64)
    encoded = lists.flatten().dictionary_encode()
    words = encoded.dictionary.to_pylist()
    hashes = np.array([_word_hash(word) for word in words], dtype=np.uint64)
    code = primitive(encoded.indices, np.int32)
    doc = np.repeat(np.arange(len(texts)), lengths)
    filled = np.array([bool(word) for word in words], dtype=bool)[code]
    doc, single = doc[filled], hashes[code[filled]]
    neighbours = doc[1:] == doc[:-1]
    pair = (mix(single[:-1] * np.uint64(3) + single[1:]) | np.uint64(1))[neighbours]
    docs = np.concatenate([doc, doc[1:][neighbours]])
    return _distinct(len(texts), docs, np.concatenate([single, pair]), hashes, words)


@lru_cache(maxsize=1 << 16)  # record batches of one source share most of their words
def _word_hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little") & ~1


def _distinct(
    n_docs: int, doc: NDArray[np.int64], token: Hashes, hashes: Hashes, words: list[str]
) -> Tokens:
    doc, token = _sorted(n_docs, doc, token)
    first = np.ones(doc.size, dtype=bool)
    first[1:] = (doc[1:] != doc[:-1]) | (token[1:] != token[:-1])
    names = {int(h): w for h, w in zip(hashes.tolist(), words, strict=True) if w}
    return Tokens(n_docs, doc[first], token[first], names)


def _sorted(n_docs: int, doc: NDArray[np.int64], token: Hashes) -> tuple[NDArray[np.int64], Hashes]:
    """Sort tokens by document, then by hash.

    A sort by both is slow, because hashes are everywhere. A radix sort by document leaves a few
    tokens in each, and a merge sort of document and leading bits of the hash in one number has
    little to do then. Two hashes of a document that share these bits are rare; then both are
    sorted the slow way.
    """
    if n_docs > _DOCS or token.size == 0:
        order = np.lexsort((token, doc))
        return doc[order], token[order]
    by_doc = np.argsort(doc.astype(np.uint16), kind="stable")
    doc, token = doc[by_doc], token[by_doc]
    key = doc.astype(np.uint64) << _DOC_SHIFT
    key |= token >> _HASH_SHIFT
    order = np.argsort(key, kind="stable")
    key, found = key[order], token[order]
    if ((key[1:] == key[:-1]) & (found[1:] < found[:-1])).any():
        order = np.lexsort((token, doc))
        found = token[order]
    return doc, found


def minimum_hash(tokens: Tokens, salt: int) -> Hashes:
    """Return the smallest salted token hash of each document.

    The probability that two documents share it is their Jaccard similarity.

    Args:
        tokens: Tokens of all documents.
        salt: Number of the hash function, 0 to 2**64 - 1.

    Returns:
        uint64, shape (n_docs,), 0 for an empty document.

    Source: Broder 1997.
    """
    out = np.zeros(tokens.n_docs, dtype=np.uint64)
    if tokens.doc.size:
        salted = mix(tokens.hash ^ np.uint64(salt))
        starts = np.flatnonzero(np.r_[True, tokens.doc[1:] != tokens.doc[:-1]])
        out[tokens.doc[starts]] = np.minimum.reduceat(salted, starts)
    return out

"""Row keys in 16 bytes: readable where they are short, a hash where they are not.

Specified in docs/formats/table-difference.md, section "Key".
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc

from sluicegate.errors import SchemaMismatch
from sluicegate.profiling.buffers import plain, primitive
from sluicegate.tables.cells import offsets_of
from sluicegate.tables.row_encoding import encode_column

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from sluicegate.tables.row_schema import TableSchema

KEY_BYTES: Final = 16
LABEL_BYTES: Final = 8

_SHORT_TEXT: Final = 15
_HASHED, _INT = 0xFF, 0x10
_INT_CELL: Final = 9
_TEXT_HEAD: Final = 9


def class_of(schema: TableSchema, column: str) -> Any:
    """Return the class of a column.

    Args:
        schema: Columns of the table.
        column: Name that a person gave.

    Raises:
        SchemaMismatch: The table has no such column.
    """
    if column not in schema.names:
        # The name is not shown: `--key` wants a column, and somebody may paste a secret key.
        raise SchemaMismatch(
            "the table has no column of this name", expected=", ".join(schema.names[:10])
        )
    return schema.classes[schema.names.index(column)]


def encode_keys(array: pa.Array, kind: Any, column: str) -> NDArray[np.uint8]:
    """Return the keys of rows.

    Args:
        array: The key column.
        kind: Its class.
        column: Its name, for errors.

    Returns:
        uint8, shape (n, 16). Integers and texts of at most 15 bytes can be read back.

    Cost: 0.1 microseconds for each row; 0.5 for one whose key is longer.
    """
    encoded = encode_column(array, kind, column)
    ends = offsets_of(encoded)
    data = encoded.buffers()[2].to_pybytes() if len(encoded) else b""
    lengths = np.diff(ends)
    made = np.zeros((len(encoded), KEY_BYTES), np.uint8)
    raw = np.frombuffer(data, np.uint8)
    short = np.zeros(len(encoded), bool)
    if kind == "int":
        short[:] = True
        made[:, 0] = _INT
        made[:, 1 : 1 + _INT_CELL] = raw.reshape(-1, _INT_CELL)
    elif kind == "string":
        heads = ends[:-1]
        size = lengths - _TEXT_HEAD
        short = (size <= _SHORT_TEXT) & (raw[heads] != 0)
        made[short, 0] = size[short]
        for place in range(_SHORT_TEXT):
            rows = np.flatnonzero(short & (size > place))
            made[rows, 1 + place] = raw[heads[rows] + _TEXT_HEAD + place]
    for row in np.flatnonzero(~short):
        digest = sha256(data[ends[row] : ends[row + 1]]).digest()
        made[row] = np.frombuffer(bytes([_HASHED]) + digest[: KEY_BYTES - 1], np.uint8)
    return made


def decode_key(key: bytes) -> str:
    """Return a key of 16 bytes for people: its value, or its hash if it was too long to keep."""
    if key[0] == _HASHED:
        return f"sha256:{key[1:].hex()}"
    if key[0] == _INT:
        # Tag 0 is NULL, tag 3 is an integer of at least 2**63.
        value = int.from_bytes(key[2:10], "little", signed=key[1] != 3)
        return str(value) if key[1] else "NULL"
    return key[1 : 1 + key[0]].decode("utf-8", "replace")


def encode_labels(
    array: pa.Array, kind: Any, column: str
) -> tuple[NDArray[np.uint8], dict[bytes, str]]:
    """Return the labels of rows as hashes, and the text of each hash.

    Args:
        array: The label column.
        kind: Its class.
        column: Its name, for errors.

    Returns:
        The first 8 bytes of the SHA-256 of each cell, uint8, shape (n, 8), and the text that
        each of these hashes stands for.
    """
    values = pc.dictionary_encode(plain(array), null_encoding="encode")
    cells = encode_column(values.dictionary, kind, column).to_pylist()
    hashes = [sha256(cell).digest()[:LABEL_BYTES] for cell in cells]
    texts = dict(zip(hashes, map(as_text, values.dictionary.to_pylist()), strict=True))
    lookup = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, LABEL_BYTES)
    return lookup[primitive(values.indices, np.int32)], texts


def as_text(value: Any) -> str:
    """Return a key, label or contributor for people; None is NULL."""
    return "NULL" if value is None else str(value)

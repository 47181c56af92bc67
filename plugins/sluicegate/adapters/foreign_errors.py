"""The parts of another library's error that may be shown: its kind, and a few harmless facts.

The text of such an error quotes whatever it stumbled over: the row of a CSV file, the literal of
a query, the password of a URL. A list of what to cut out is never complete. So this module lists
what may stay: a few sentences that are known to hold nothing but numbers of rows and columns. Of
every other error, only the kind is shown. Code that raises an error of ours because of a foreign
one raises it `from None`, because Airflow writes causes to the task's log.
"""

from __future__ import annotations

import re
from typing import Final

# These are pyarrow 26's sentences. If a later version changes one, it is no longer shown.
_KNOWN: Final = (
    (
        r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+)",
        "line {0} of {2}, not {1} columns",
    ),
    (r"CSV parse error: Expected (\d+) columns, got (\d+)", "a line of {1}, not {0} columns"),
    (r"In column (\d+): Invalid: Invalid UTF8 sequence", "column {0} is not UTF-8"),
    (
        r"In column (\d+): Invalid: (?:Decimal value|date64)",
        "column {0} has a value out of its type",
    ),
    (r"In CSV column #(\d+): CSV conversion error", "CSV column {0} has a value of another type"),
    (r"Empty CSV file$", "no header line"),
    (r"CSV parser got out of sync with chunker", "a quoted field spans too many lines"),
    (r"straddling object straddles two block boundaries", "a line is too long"),
    (r"Parquet magic bytes not found in footer", "no Parquet footer"),
    (r"Parquet file size is (\d+) bytes, smaller than", "{0} bytes, no Parquet footer"),
    (r"Corrupt (snappy|gzip|zstd|lz4|brotli) compressed data", "corrupt {0} data"),
)


def shown(error: BaseException) -> str:
    """Return the part of a foreign error that may stand in a message.

    Args:
        error: Any exception that is not one of ours.

    Returns:
        One line: the operating system's reason, a known sentence in our words, or the kind.

    Example:
        >>> shown(ValueError("jane.doe@example.org,1"))
        'ValueError'
    """
    kind = type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        return error.strerror
    known = _known(str(error))
    return f"{kind}: {known}" if known else kind


def _known(text: str) -> str:
    for pattern, said in _KNOWN:
        if found := re.match(pattern, text):
            return said.format(*found.groups())
    return ""

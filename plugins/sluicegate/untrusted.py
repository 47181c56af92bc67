r"""Text that somebody else chose, made safe to show: the one escape of the package.

Names of columns, contributors, files and sources come from data. A terminal obeys an escape
sequence in them. A log takes a newline for the next record. An override of the writing direction
shows another name than the one that is there. A character that a person would not see as it is
gets written out: ``\x1b``, ``\n``, ``\u202e``. Letters of any language stay as they are.

Callers apply it where text is shown or put into a sentence, never to what is compared or signed.
"""

from __future__ import annotations

from html import escape
from typing import Final

MOST: Final = 2000
"""Longest text that is shown, in characters: more floods a log and hides what stands beside it."""

# Unicode calls these letters, marks and symbols; the eye sees nothing.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def visible(text: str, most: int | None = MOST) -> str:
    r"""Return text that looks like what it is, on one line.

    Backslashes stay, so that text may pass here twice: ``visible(visible(x)) == visible(x)``.

    Args:
        text: Any string, unpaired surrogates included.
        most: Longest result in characters, at least 60; None for any length.

    Returns:
        The same text if all of it is visible and it is short enough. Otherwise Python's escape
        stands for every control, format, separator and blank character but the space, and a
        text that is too long is cut.

    Example:
        >>> visible("Müller\x1b[31m\nadmitted")
        'Müller\\x1b[31m\\nadmitted'
    """
    shown = text if most is None else text[: most + 1]
    if not shown.isprintable() or not _BLANK.isdisjoint(shown):
        shown = "".join(map(_written_out, shown))
    if most is None or len(shown) <= most:
        return shown
    end = f"… ({len(text)} characters)"
    return shown[: most - len(end)] + end


def html_text(text: str, most: int = MOST) -> str:
    """Return text for a page or a drawing: visible, and without mark-up.

    Args:
        text: Any string, unpaired surrogates included.
        most: Longest visible text in characters, at least 60; the result is longer where
            HTML escapes a character.
    """
    return escape(visible(text, most))


def _written_out(character: str) -> str:
    if character.isprintable() and character not in _BLANK:
        return character
    return character.encode("unicode_escape").decode("ascii")

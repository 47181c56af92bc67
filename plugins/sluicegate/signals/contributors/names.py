"""How messages and findings name contributors: by their names, or by a pseudonym each.

A pseudonym keeps names out of logs, pages and signed records. It is no anonymity: it is an unsalted
digest, so whoever guesses a name can confirm it, and must be, so that two batches, machines and
years give one person one pseudonym. It has 64 bits: with fewer, somebody could choose a name that
is called like an honest contributor.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST: Final = 64
"""Longest name that is shown, in characters."""
_DOMAIN: Final = b"sluicegate contributor\n"
_DIGITS: Final = 16
_PREFIX: Final = "contributor "
_PSEUDONYM: Final = re.compile(rf"#[0-9a-f]{{{_DIGITS}}}")


class Display(StrEnum):
    """What a policy says of contributors' names."""

    SHOWN = "shown"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class ContributorNames:
    """What contributors are called in everything that a run says or records.

    Attributes:
        hidden: Whether by pseudonyms; else by their names, cut at 64 characters.
    """

    hidden: bool = False

    def of(self, name: str) -> str:
        """Return what a contributor is called.

        Args:
            name: As it stands in the data; any text.

        Returns:
            Its pseudonym, or the name, cut and not yet escaped: the message that it is put into
            is. A name in the form of a pseudonym has one too, so that it passes as nobody else's.
        """
        shown = name[:MOST]
        return pseudonym(name) if self.hidden or _PSEUDONYM.fullmatch(shown) else shown

    def subject(self, name: str) -> str:
        """Return the same with the word before it, as messages and evidence have it."""
        return f"{_PREFIX}{self.of(name)}"

    def again(self, subject: str) -> str:
        """Return a subject that an earlier run recorded, in the form of this one.

        A pseudonym leads to no name, so it stays.
        """
        return self.track(subject) if self.hidden else subject

    @staticmethod
    def track(subject: str) -> str:
        """Return one text for a contributor that was recorded in either form."""
        name = subject.removeprefix(_PREFIX)
        return f"{_PREFIX}{name if _PSEUDONYM.fullmatch(name) else pseudonym(name)}"


SHOWN: Final = ContributorNames()
"""The default: a person has to act on what is found, and needs to know with whom."""


def pseudonym(name: str) -> str:
    """Return the pseudonym of a name: "#" and the first 16 hex digits of a SHA-256.

    Example:
        >>> pseudonym("UA")
        '#0e7ebcc2eecfc379'
    """
    digest = hashlib.sha256(_DOMAIN + name.encode(errors="surrogatepass"))
    return f"#{digest.hexdigest()[:_DIGITS]}"

"""What a page makes a browser load or run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_STYLED = re.compile(r"@import|url\(\s*['\"]?(?!data:|#)", re.IGNORECASE)


def network_assets(page: Path) -> list[str]:
    """Return every element that loads or runs something; links that a person clicks are none."""
    finder = _Finder()
    finder.feed(page.read_text(encoding="utf-8"))
    return finder.found


class _Finder(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self._style = False

    def handle_starttag(self, tag, attrs):
        self._style = tag == "style"
        values = dict(attrs)
        loads = tag in {"script", "link", "img", "iframe", "object", "embed", "video", "audio"}
        data = (values.get("src") or "").startswith("data:")
        if (loads and not data) or any(name.startswith("on") for name in values):
            self.found.append(self.get_starttag_text())
        if _STYLED.search(values.get("style") or ""):
            self.found.append(self.get_starttag_text())

    def handle_data(self, data):
        if self._style and _STYLED.search(data):
            self.found.append(data)

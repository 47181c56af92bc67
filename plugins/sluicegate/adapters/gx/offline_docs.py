"""Data Docs that a browser shows without any network.

The pages of Great Expectations load styles, icons and scripts from eight hosts, and a logo whose
address carries the id of the data context. `make_offline` takes all of it out, puts a small
style in, writes the icons of passed and failed as words, and adds a policy that forbids the browser
to load or run anything, should something be missed. The list of runs is drawn by one of the
scripts, so it is written anew.
"""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

_FOREIGN: Final = re.compile(r"""url\(\s*['"]?(?:https?:)?//[^)]*\)""", re.IGNORECASE)
_LOADING: Final = ("link", "img", "iframe", "object", "embed")
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#59636e;--page:#fff;--line:#d1d9e0;
--bad:#b3261e;--warn:#8a5a00;--good:#1a6e35}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa4af;--page:#0f1419;--line:#333c46;
--bad:#ff8a80;--warn:#f0b849;--good:#6fd08c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:76rem;
margin:2rem auto;padding:0 1rem;position:static}
a{color:inherit}h1,h2,h3,h4,h5,h6{margin:1.2rem 0 .4rem}
table{border-collapse:collapse;width:100%;font-size:13px;margin:.4rem 0}
td,th{border-bottom:1px solid var(--line);padding:.35rem .6rem;text-align:left;vertical-align:top;
overflow-wrap:anywhere}
th{color:var(--dim);width:auto}td:first-child{white-space:nowrap}
.breadcrumb{display:flex;gap:.6rem;list-style:none;padding:0;color:var(--dim)}
.card,.navbar,.modal,.cooltip,footer,button,a[data-toggle]{display:none}
.text-success,.text-danger,.text-warning{font-style:normal;font-weight:600}
.text-success{color:var(--good)}.text-danger{color:var(--bad)}.text-warning{color:var(--warn)}
.fa-check-circle::before{content:"passed"}.fa-times::before{content:"failed"}
.fa-exclamation-triangle::before{content:"could not be evaluated"}
"""
_HEAD: Final = (
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style>'
)


def make_offline(site: Path) -> int:
    """Rewrite every page below a directory so that it needs no network.

    Args:
        site: Directory of a Data Docs site, as the local store wrote it.

    Returns:
        How many pages were rewritten; one that is offline already stays as it is. The list of
        all pages, ``index.html``, is not among them.
    """
    index = site / "index.html"
    pages = sorted(path for path in site.rglob("*.html") if path != index)
    changed = 0
    for page in pages:
        before = page.read_text(encoding="utf-8")
        if _POLICY not in before:
            page.write_text(offline_page(before), encoding="utf-8")
            changed += 1
    index.write_text(_index([page.relative_to(site).as_posix() for page in pages]), "utf-8")
    return changed


def offline_page(page: str) -> str:
    """Return a page without scripts, links to styles, and images of other hosts."""
    parser = _Rewriter()
    parser.feed(page)
    parser.close()
    return "".join(parser.out)


def _index(pages: list[str]) -> str:
    """Return a page that links all others, the newest run of each suite first."""
    items = "".join(
        f'<li><a href="{quote(page)}">{escape(page.removesuffix(".html"))}</a></li>'
        for page in reversed(pages)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{_HEAD}'
        f"<title>Data Docs</title></head><body><h1>Data Docs</h1><ul>{items}</ul></body></html>\n"
    )


class _Rewriter(HTMLParser):
    """Writes what it reads, except what loads or runs something."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.out: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write a tag unless it loads or runs something.

        Args:
            tag: Its name.
            attrs: Its attributes.
        """
        text = self.get_starttag_text() or ""
        self._script = self._script or tag == "script"
        if self._script or tag in _LOADING:
            return
        runs = any(name.startswith("on") for name, _ in attrs)
        self.out.append(f"<{tag}>" if runs else _FOREIGN.sub("none", text))
        if tag == "head":
            self.out.append(_HEAD)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = False
        elif not self._script and tag not in _LOADING:
            self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._script:
            self.out.append(_FOREIGN.sub("none", data))

    def handle_entityref(self, name: str) -> None:
        self.out.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.out.append(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        self.out.append(f"<!{decl}>")

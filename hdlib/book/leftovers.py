"""Looking for marks that a reader should not see: what neither Quarto nor pandoc understood."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

LEFT = re.compile(r":::|\?@|\?(?:fig|tbl|sec|eq)-|\{[^{}]*#(?:fig|tbl|sec|eq)-")
HIDDEN = {"code", "pre", "script", "style", "template", "textarea", "title"}
BLOCKS = {"p", "div", "li", "td", "th", "figure", "figcaption", "section", "dd", "h1", "h2", "h3"}


class _Text(HTMLParser):
    """Collects the text of a page without its code, block by block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = [""]
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in HIDDEN
        if tag in BLOCKS:
            self.blocks.append("")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.blocks[-1] += data


def leftovers(html: str) -> list[str]:
    """What is left of ``:::``, ``{#fig-…}`` or ``?fig-…`` in the text of a page, as it reads there.

    Example:
        >>> leftovers("<p>See ?fig-gaps. <code>::: {.note}</code></p>")
        ['?fig-gaps.']
    """
    parser = _Text()
    parser.feed(html)
    texts = (" ".join(block.split()) for block in parser.blocks)
    return [text[found.start() :][:60] for text in texts for found in LEFT.finditer(text)]


def site_leftovers(site: Path) -> list[str]:
    """The same in every page of a site, each after the name of its page."""
    return [
        f"{path.relative_to(site).as_posix()}: {left!r} is left in the text"
        for path in sorted(site.rglob("*.html"))
        for left in leftovers(path.read_text(encoding="utf-8"))
    ]

"""Plain Markdown in the place of Quarto's: attributes, divisions, references and citations."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from hdlib.book.pages import CODE, HEADING, IMAGE, LABEL, REFERENCE

Entries = dict[str, dict[str, str]]


class Target(NamedTuple):
    """What a reference points to: an anchor on a page, and the text to show for it."""

    href: str
    text: str


def plain_markdown(text: str, targets: dict[str, Target], entries: Entries, up: str) -> str:
    """Plain Markdown, with HTML in the place of what only Quarto knows; code is left alone.

    Args:
        text: Quarto's Markdown.
        targets: what each label and citation key points to.
        entries: the bibliography, for where the text asks for the list of it.
        up: path from the page to the root of the site, empty or ending in a slash.
    """
    code = CODE.findall(text)
    prose = _plain_prose(CODE.sub("\0", text), targets, entries, up)
    return re.sub("\0", lambda _: code.pop(0), prose)


def _plain_prose(text: str, targets: dict[str, Target], entries: Entries, up: str) -> str:
    def anchor(attributes: str | None) -> str:
        name = re.search(r"#([\w-]+)", attributes or "")
        return f' id="{name[1]}"' if name else ""

    def reference(found: re.Match[str]) -> str:
        target = targets.get(found[1])
        if target is None:
            return found[0]
        shown = html.escape(target.text)
        return f'<a href="{up}{target.href}">{shown}</a>' if target.href else shown

    def bracket(found: re.Match[str]) -> str:
        inner = REFERENCE.sub(reference, found[1])
        cites = any(name in entries for name in REFERENCE.findall(found[1]))
        return f"({inner})" if cites else inner

    def heading(found: re.Match[str]) -> str:
        marks, _, title = found[1].partition(" ")
        return f"{marks} <a{anchor(found[2])}></a>{title}" if found[2] else found[0]

    def image(found: re.Match[str]) -> str:
        caption, path, attributes = found[1], found[2], found[3] or ""
        alt = re.search(r'fig-alt="([^"]*)"', attributes)
        path = up + path[1:] if path.startswith("/") else path
        plain = f"![{alt[1] if alt else caption}]({path})"
        label = re.search(r"#(fig-[\w-]+)", attributes)
        if not label:
            return plain
        text = f"{targets[label[1]].text}: {caption}" if label[1] in targets else caption
        return f'<figure id="{label[1]}">\n\n{plain}\n\n{text}\n\n</figure>'

    def division(found: re.Match[str]) -> str:
        attributes = found[1]
        if not attributes:
            return "\n</div>\n"
        classes = " ".join(re.findall(r"(?:^|[\s{.])([A-Za-z][\w-]*)(?=[\s}]|$)", attributes))
        inside = _bibliography(entries) if "#refs" in attributes else ""
        return f'\n<div{anchor(attributes)} class="{classes}">\n{inside}\n'

    text = IMAGE.sub(image, text)
    text = re.sub(r"^:::+[ \t]*(\{[^}\n]*\}|[\w-]+)?[ \t]*$", division, text, flags=re.MULTILINE)
    text = HEADING.sub(heading, text)
    text = re.sub(r"\[([^\[\]]*@[^\[\]]*)\](?![(\[])", bracket, text)
    text = REFERENCE.sub(reference, text)
    text = LABEL.sub(r'<a id="\1"></a>', text)  # of equations and tables
    return re.sub(r"(\]\((?!\w+:)[^)\s#]+)\.(?:ipynb|qmd)(#[^)\s]*)?\)", r"\1.html\2)", text)


def author_year(fields: dict[str, str]) -> str:
    """How an entry is cited.

    Example:
        >>> author_year({"author": "Gower, J. C. and Ross, G. J. S.", "year": "1969"})
        'Gower & Ross 1969'
    """
    surnames = [name.partition(",")[0] for name in fields.get("author", "?").split(" and ")]
    named = surnames[0] + " et al." if len(surnames) > 2 else " & ".join(surnames)
    return f"{named} {fields.get('year', '')}".strip()


def _bibliography(entries: Entries) -> str:
    lines = []
    for key, fields in entries.items():
        authors = fields.get("author", "").replace(" and ", "; ")
        source = fields.get("journal") or fields.get("booktitle") or fields.get("publisher", "")
        text = f"{authors} ({fields.get('year')}). {fields.get('title')}. {source}."
        lines.append(f'<p id="ref-{key}">{html.escape(text)}</p>')
    return "\n".join(lines)

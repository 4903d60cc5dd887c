"""Cross-references: what has a label is numbered by chapter, as Quarto does, and referred to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from hdlib.book.errors import BookError
from hdlib.book.pandoc import Node, identifier, nodes, plain, replace, words

NAMES = {"fig": "Figure", "tbl": "Table", "sec": "Section"}
LABELLED = {"fig": {"Figure", "Div"}, "tbl": {"Div"}, "sec": {"Header"}}


class Target(NamedTuple):
    """What a reference points to."""

    page: str
    name: str
    """Figure, Table, Chapter, Section; empty for a section without a number."""
    number: str
    """Its number; the heading of a section without one."""

    @property
    def text(self) -> str:
        return f"{self.name}\N{NO-BREAK SPACE}{self.number}" if self.name else self.number


def kind(label: str) -> str:
    """The kind of thing that has a label, which may begin with a capital; empty for a citation."""
    prefix = label.partition("-")[0].lower()
    return prefix if "-" in label and prefix in {*NAMES, "eq"} else ""


def number_labels(pages: dict[str, Node]) -> dict[str, Target]:
    """Number every label of the book.

    Args:
        pages: pandoc's tree of each page, in the order of the book.

    Raises:
        BookError: if a label is defined twice.
    """
    targets: dict[str, Target] = {}
    chapter = 0
    for page, tree in pages.items():
        is_numbered = numbered(tree)
        chapter += is_numbered
        for label, target in _labels(page, tree, str(chapter) if is_numbered else ""):
            if label in targets:
                raise BookError(f"{page} defines {label}, which {targets[label].page} defines")
            targets[label] = target
    return targets


def numbered(tree: Node) -> bool:
    """Whether a page is a chapter with a number: its heading is not of the class unnumbered."""
    headings = (node["c"] for node in nodes(tree["blocks"]) if node["t"] == "Header")
    first = next((c for c in headings if c[0] == 1), None)
    return first is not None and "unnumbered" not in first[1][1]


def link_references(
    page: str, tree: Node, targets: dict[str, Target], pages: Collection[str]
) -> Node:
    """A page with links in the place of references, and numbers before captions.

    A labelled division, which is a table or an interactive figure, becomes a figure with its last
    paragraph as the caption; links to other pages of the book lead to their HTML.

    Raises:
        BookError: if a reference or a link leads to nothing in the book.
    """

    def change(node: Node) -> list[Node]:
        match node["t"]:
            case "Cite" if any(kind(citation["citationId"]) for citation in node["c"][0]):
                return _reference(page, node["c"][0], targets)
            case "Div" if kind(identifier(node)) in {"fig", "tbl"}:
                return [_numbered_caption(_figure(page, node), targets)]
            case "Figure" if identifier(node) in targets:
                return [_numbered_caption(node, targets)]
            case "Image":
                (name, classes, pairs), inlines, _ = node["c"]
                alt = dict(pairs).get("fig-alt")
                node["c"][0] = [name, classes, [pair for pair in pairs if pair[0] != "fig-alt"]]
                node["c"][1] = words(alt) if alt else inlines
            case "Link":
                node["c"][2][0] = _html_link(page, node["c"][2][0], pages)
        return [node]

    return {**tree, "blocks": replace(tree["blocks"], change)}


def html_path(page: str) -> str:
    """Where the site has a page."""
    return PurePosixPath(page).with_suffix(".html").as_posix()


def up(page: str) -> str:
    """From a page to the root of the site, empty or ending in a slash."""
    return "../" * (len(PurePosixPath(page).parts) - 1)


def _labels(page: str, tree: Node, chapter: str) -> Iterator[tuple[str, Target]]:
    counts: Counter[str] = Counter()
    sections = [0] * 6
    for node in nodes(tree["blocks"]):
        label = identifier(node)
        what = kind(label)
        if node["t"] == "Header":
            level, (_, classes, _), heading = node["c"]
            number = ""
            if chapter and "unnumbered" not in classes:
                sections[level - 1] += 1
                sections[level:] = [0] * (6 - level)
                number = ".".join([chapter, *map(str, sections[1:level])])
            if what == "sec":
                name = ("Chapter" if level == 1 else "Section") if number else ""
                yield label, Target(page, name, number or plain(heading))
        elif what and node["t"] in LABELLED[what]:
            counts[what] += 1
            number = ".".join(filter(None, [chapter, str(counts[what])]))
            yield label, Target(page, NAMES[what], number)


def _reference(page: str, citations: list[Any], targets: dict[str, Target]) -> list[Node]:
    """Links, and what is written before and after each: ``[@fig-a, left]``, ``[see @sec-b]``."""
    inlines: list[Node] = []
    for citation in citations:
        label = citation["citationId"][0].lower() + citation["citationId"][1:]
        target = targets.get(label)
        if target is None:
            raise BookError(f"{page}: @{label} refers to nothing")
        before = citation["citationPrefix"]
        bare = before or citation["citationMode"]["t"] == "SuppressAuthor"
        text = words(target.number if bare else target.text)
        path = "" if target.page == page else up(page) + html_path(target.page)
        link = {"t": "Link", "c": [["", [], []], text, [f"{path}#{label}", ""]]}
        joint = words(", ") if inlines else []
        inlines += [*joint, *before, *([{"t": "Space"}] if before else []), link]
        inlines += citation["citationSuffix"]
    return inlines


def _figure(page: str, node: Node) -> Node:
    (label, classes, _), blocks = node["c"]
    if len(blocks) < 2 or blocks[-1]["t"] != "Para":
        raise BookError(f"{page}: {label} has no caption")
    caption = [None, [{"t": "Plain", "c": blocks[-1]["c"]}]]
    return {"t": "Figure", "c": [[label, classes, []], caption, blocks[:-1]]}


def _numbered_caption(node: Node, targets: dict[str, Target]) -> Node:
    """A figure with its number before the caption."""
    text = words(f"{targets[identifier(node)].text}: ")
    inlines = [inline for block in node["c"][1][1] for inline in block["c"]]
    node["c"][1] = [None, [{"t": "Plain", "c": text + inlines}]]
    return node


def _html_link(page: str, address: str, pages: Collection[str]) -> str:
    path, _, fragment = address.partition("#")
    if not path.endswith((".qmd", ".ipynb")) or ":" in path:
        return address
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    if "/".join(parts) not in pages:
        raise BookError(f"{page} links to {path}, which is no page of the book")
    return html_path(path) + (f"#{fragment}" if fragment else "")

"""Calling pandoc, and walking what it reads: a tree of ``{"t": kind, "c": content}``."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pypandoc

from hdlib.book.errors import BookError

Node = dict[str, Any]
ATTRIBUTES = {"Div": 0, "Figure": 0, "Header": 1, "Image": 0, "Span": 0, "Table": 0}


def pandoc(text: str, *arguments: str) -> str:
    """What pandoc makes of ``text``.

    Raises:
        BookError: if it fails, or has any warning; with its words.
    """
    command = [pypandoc.get_pandoc_path(), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8")
    if done.returncode or done.stderr:
        raise BookError(re.sub(r"\[WARNING\] ", "", done.stderr).strip())
    return done.stdout


def nodes(tree: Any) -> Iterator[Node]:
    """Every node of a tree, in the order of the text, a node before what it contains."""
    if isinstance(tree, list):
        for item in tree:
            yield from nodes(item)
    elif isinstance(tree, dict):
        if "t" in tree:
            yield tree
        for item in tree.values():
            yield from nodes(item)


def replace(tree: Any, change: Callable[[Node], list[Node]]) -> Any:
    """A tree with each node replaced by what ``change`` makes of it, contents first."""
    if isinstance(tree, dict):
        return {key: replace(value, change) for key, value in tree.items()}
    if not isinstance(tree, list):
        return tree
    items = []
    for item in tree:
        changed = replace(item, change)
        is_node = isinstance(changed, dict) and "t" in changed
        items += change(changed) if is_node else [changed]
    return items


def identifier(node: Node) -> str:
    """The identifier of a node, empty where it has none."""
    at = ATTRIBUTES.get(node["t"])
    return "" if at is None else node["c"][at][0]


def words(text: str) -> list[Node]:
    """Plain text as inlines."""
    return [{"t": "Str", "c": text}]


def plain(tree: Any) -> str:
    """The text of inlines without its marks."""
    texts = {"Str": lambda c: c, "Code": lambda c: c[1], "Math": lambda c: c[1]}
    spaces = {"Space", "SoftBreak", "LineBreak"}
    parts = (
        " " if node["t"] in spaces else texts[node["t"]](node["c"])
        for node in nodes(tree)
        if node["t"] in spaces or node["t"] in texts
    )
    return "".join(parts)

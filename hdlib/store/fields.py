"""Fields of a config from a YAML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hdlib.store.config import ConfigError

LARGEST = 1_000_000
"""Bytes of a file; a larger one is not read."""
KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in KINDS}
"""Tags of what is read."""


def read_fields(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, of names to plain values.

    Numbers and words are those of YAML 1.2: ``1e-8``, ``1.0e-8`` and ``1e+8`` are numbers, and
    ``no`` is a word.

    Raises:
        ConfigError: if the file is no such mapping, a key comes twice or is no name, or there are
            tags or aliases; names the file, the line and what is there.
        OSError: if the file cannot be read.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ConfigError(f"{path}: {size:,} bytes; a config has at most {LARGEST:,}")
    try:
        found = yaml.load(path.read_bytes(), _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {_told(error)}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: a mapping of names to values is needed, got {found!r}")
    return found


class _Loader(yaml.SafeLoader):
    """Reads mappings, lists and plain values, and refuses all else."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _RefusedError(f"*{event.anchor}: aliases are not read; write the value", event)
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag not in PLAIN:
            raise _RefusedError(f"{node.tag}: tags are not read; plain values are", node)
        return super().construct_object(node, deep)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        first: dict[str, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _RefusedError(f"{key!r}: a key must be a name", key_node)
            if key in first:
                raise _RefusedError(f"{key} is given twice, first in line {first[key]}", key_node)
            first[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)


for _kind, _pattern in {
    "null": "|~|null",
    "bool": "true|false",
    "int": "[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)",
}.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), None
    )


class _RefusedError(ValueError):
    """Something that YAML allows, and a config does not."""

    def __init__(self, words: str, node: Any) -> None:
        super().__init__(f"line {node.start_mark.line + 1}: {words}")


def _told(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    return " ".join(str(error).split())

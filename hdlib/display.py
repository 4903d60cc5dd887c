"""Text that a notebook shows as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
"""For `str.translate`, of ranks that are written as a number."""
NARROWEST, WIDEST = 3, 60
"""Characters of a column that a table counts, at least and at most."""


class Markdown(str):
    """A string that a notebook renders as Markdown."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: bool = True,
    lists: Collection[str] = (),
) -> Markdown:
    """A pipe table; bars in cells are escaped.

    Where a row is too long for the page, pandoc makes columns as wide as the dashes beneath their
    headers say; so there are as many as a column's longest cell has characters, or the longest word
    of its header, of which other words go on a line of their own.

    Args:
        header: of each column.
        rows: cells of each row.
        numbers: whether all columns but the first hold numbers, which are aligned to the right.
        lists: names of columns that hold several in a cell, which may be broken over lines.

    Raises:
        ValueError: if a row does not have as many cells as the header.

    Example:
        >>> print(table(["step", "λ"], [[0, 1.5]]))
        | step | λ |
        | :---- | ---: |
        | 0 | 1.5 |
    """
    cells = [list(map(str, row)) for row in rows]
    for row in cells:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(header)} cells is needed, got {len(row)}: {row}")
    rules = []
    for at, name in enumerate(header):
        lengths = [len(text) for text in [*name.split(), *(row[at] for row in cells)]]
        dashes = "-" * min(max(NARROWEST, *lengths), WIDEST)
        right = numbers and at and name not in lists
        rules.append(f"{dashes}:" if right else f":{dashes}")
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in [header, *cells]]
    lines = [escaped[0], rules, *escaped[1:]]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def escaped(text: str) -> str:
    r"""Text that Markdown and HTML show as it is, on one line.

    Example:
        >>> print(escaped("<b> *x86_64*"))
        &lt;b&gt; \*x86\_64\*
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"([\\`*_{}\[\]$~^@])", r"\\\1", html.escape(line, quote=False))


def first_of(names: Sequence[str], most: int) -> str:
    """The first of some names, and how many more there are.

    Example:
        >>> first_of(["a", "b", "c", "d"], 2)
        'a, b and 2 more'
    """
    more = f" and {len(names) - most} more" * (len(names) > most)
    return f"{', '.join(names[:most])}{more}"


def two_digits(values: Iterable[float]) -> str:
    """`extent` of numbers of any size, each with two significant digits and none as a power of ten.

    Example:
        >>> two_digits([6_912_345, 349_000, 0.00134])
        '0.0013 to 6,900,000'
    """
    return extent((float(f"{value:.2g}") for value in values), ",.10g")


def extent(values: Iterable[float], form: str = "", to: str = " to ") -> str:
    """The least and the largest of some numbers, each in a format, or the one that both are.

    What is rounded to zero has no sign. A narrow column has a dash between numbers without one.

    Example:
        >>> extent([3, 1, 2]), extent([0.501, 0.499], ".1f"), extent([-0.001, 0.2], ".1f")
        ('1 to 3', '0.5', '0.0 to 0.2')
        >>> extent([0.2, 0.4], ".0%", "–")
        '20%–40%'
    """
    ordered = sorted(values)
    texts = (f"{end:{form}}" for end in (ordered[0], ordered[-1]))
    return to.join(dict.fromkeys(re.sub(r"^-(?=[0.,%]+$)", "", text) for text in texts))

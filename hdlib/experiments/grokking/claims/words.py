"""How claims say numbers."""

from __future__ import annotations

import numpy as np

NO_MEMORISATION = "The rule for the end of memorisation, where this begins, finds none."


def listed(values: object, form: str) -> str:
    """Numbers, each in a format, with commas and an "and" between them; "none" for none."""
    words = [f"{value:{form}}" for value in np.asarray(values).tolist()]
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:]))) or "none"


def two_digits(value: float) -> str:
    """A large number, rounded to its two leading digits."""
    return f"{float(f'{value:.2g}'):,.0f}"

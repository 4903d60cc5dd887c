"""Configs: frozen, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError


class ConfigError(ValueError):
    """A config that cannot be: names the field, the value, and what is allowed."""


class Config(BaseModel):
    """Base of the experiments' configs.

    Unknown fields, wrong types and impossible values raise `ConfigError`; a number given as a
    string, as papermill does with ``1e-3``, becomes a number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    experiment: ClassVar[str]

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(self._explain(error)) from None

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> Self:
        """Config of all plain values in a notebook's ``globals()``, right after its parameters.

        Every number, string, boolean, list or None under a public name is taken for a parameter, so
        one that is misspelt or unknown is an error and not ignored.
        """
        plain = (bool, int, float, str, list, tuple, dict, type(None))
        ipython = ("In", "Out")
        return cls(
            **{
                name: value
                for name, value in namespace.items()
                if type(value) in plain and not name.startswith("_") and name not in ipython
            }
        )

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        sentences = []
        for fault in error.errors(include_url=False):
            name = ".".join(map(str, fault["loc"])) or cls.experiment
            if fault["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields)
                sentences.append(
                    f"{name}={fault['input']!r}: unknown; {cls.experiment} has {known}"
                )
            elif fault["loc"]:
                sentences.append(f"{name}={fault['input']!r}: {fault['msg']}")
            else:
                sentences.append(fault["msg"].removeprefix("Value error, "))
        return "; ".join(sentences)

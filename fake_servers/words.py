"""Closed vocabularies: enumerations whose members are, compare as, and print as plain words."""

from __future__ import annotations

from enum import Enum


class Word(str, Enum):
    """A member of a closed vocabulary."""

    def __str__(self) -> str:
        return str(self.value)

"""What is given on the command line, read by what the library itself allows, and refused in its words."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fake_servers.errors import ScenarioError

__all__ = ["port", "reading", "target_file"]

Value = TypeVar("Value")


def reading(read: Callable[[str], Value], *, name: str = "") -> Callable[[str], Value]:
    """An argument's ``type``, whose errors are those of ``read``.

    Args:
        read: makes a value of a text, and raises `ScenarioError` where there is none.
        name: what argparse calls it where Python itself finds the text wrong, as in ``"whole number"``.
    """

    def typed(text: str) -> Value:
        try:
            return read(text)
        except ScenarioError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    typed.__name__ = name or read.__name__
    return typed


def port(text: str) -> int:
    """A port; 0 for any that is free.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed are 0 (any that is free) to 65535, as in 8080")
    return int(text)


def target_file(text: str) -> Path:
    """A file to be written: known at once to be none, where what is written would take long to make.

    Raises:
        argparse.ArgumentTypeError: it can't be one.
    """
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} can't be written; give a file in a folder that is there")
    return path

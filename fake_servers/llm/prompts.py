"""Prompts and texts to embed: one or several, as texts or as numbers of tokens."""

from __future__ import annotations

from typing import Any, Final

from fake_servers.llm.reading import Place, wrong
from fake_servers.llm.tokens import count

__all__ = ["read_prompts", "size_of_prompts"]

_MOST: Final = 2048


def read_prompts(given: Any, name: str) -> tuple[str, ...]:
    """Each prompt as a text; numbers of tokens are told one after the other.

    Raises:
        Invalid: there is none, there are too many, or one is neither a text nor numbers.
    """
    if isinstance(given, str):
        return (given,)
    if not 1 <= len(given) <= _MOST:
        wrong((name,), f"List should have from 1 to {_MOST} items")
    if _are_numbers(given):
        return (" ".join(map(str, given)),)
    return tuple(_prompt(prompt, (name, number)) for number, prompt in enumerate(given))


def _prompt(prompt: Any, at: Place) -> str:
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list) or not prompt or not _are_numbers(prompt):
        wrong(at, "Input should be a valid string or array of token numbers")
    return " ".join(map(str, prompt))


def _are_numbers(items: list[Any]) -> bool:
    # What is no number of a token would be too long to write down.
    return all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 2**31 for item in items)


def size_of_prompts(prompts: tuple[str, ...]) -> int:
    """The tokens of all prompts."""
    return sum(map(count, prompts))

"""Which models there are, as each provider lists them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from fake_servers.errors import ScenarioError
from fake_servers.llm.errors import Provider, Refused
from fake_servers.llm.openrouter import INPUT_PRICE, OUTPUT_PRICE
from fake_servers.llm.orders import EPOCH

__all__ = ["Models", "described"]

_DEFAULT: Final = (
    *("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "text-embedding-3-small", "text-embedding-3-large"),
    *("claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-4-5"),
    *("openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5", "mistralai/mixtral-8x7b-instruct", "deepseek/deepseek-chat"),
)


class Models:
    """The models of a server. With none given it lists some that are known, and takes any name.

    Args:
        names: the only ones that there are.

    Raises:
        ScenarioError: they are no names.
    """

    def __init__(self, names: Collection[str] | None = None) -> None:
        if names is not None and not _are_names(names):
            raise ScenarioError(
                f"models={names!r} are no names; allowed are None (any name is taken) or one name at least, "
                "as in models=['gpt-4o']"
            )
        self._takes_any = names is None
        self.names = _DEFAULT if names is None else tuple(names)

    def check(self, name: str) -> None:
        """Refuse a model that is not there.

        Raises:
            Refused: it is not.
        """
        if not self._takes_any and name not in self.names:
            raise Refused(404, f"The model '{name}' does not exist", param="model", code="model_not_found")

    def listed(self, provider: Provider) -> dict[str, Any]:
        """All of them."""
        data = [described(name, provider) for name in self.names]
        if provider is Provider.ANTHROPIC:
            return {"data": data, "has_more": False, "first_id": self.names[0], "last_id": self.names[-1]}
        return {"data": data} if provider is Provider.OPENROUTER else {"object": "list", "data": data}


def _are_names(names: Any) -> bool:
    if isinstance(names, str) or not isinstance(names, Collection) or not names:
        return False
    return all(isinstance(name, str) and name for name in names)


def described(name: str, provider: Provider) -> dict[str, Any]:
    """One model, as its provider describes it."""
    if provider is Provider.ANTHROPIC:
        return {"type": "model", "id": name, "display_name": name, "created_at": "2023-11-14T22:13:20Z"}
    if provider is Provider.OPENROUTER:
        prices = {"prompt": str(INPUT_PRICE), "completion": str(OUTPUT_PRICE)}
        return {"id": name, "name": name, "created": EPOCH, "context_length": 128_000, "pricing": prices}
    return {"id": name, "object": "model", "created": EPOCH, "owned_by": "fake"}

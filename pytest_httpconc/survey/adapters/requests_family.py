"""requests, and niquests, which has its interface and an async one beside it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pytest_httpconc.survey.adapters.kinds import Answer, Settings

__all__ = ["Blocking", "InLoop"]


class Blocking:
    """``requests.Session`` or ``niquests.Session``."""

    def __init__(self, module: str, settings: Settings) -> None:
        library = import_module(module)
        self._session: Any = library.Session()
        self._url = settings.url
        self._options: dict[str, Any] = {} if settings.timeout is None else {"timeout": settings.timeout}
        if not settings.retries:
            self._session.mount("http://", library.adapters.HTTPAdapter(max_retries=0))

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def post(self, text: str) -> Answer:
        return _answer(self._session.post(f"{self._url}/echo", json={"text": text}, **self._options))

    def get(self) -> Answer:
        return _answer(self._session.get(f"{self._url}/item", **self._options))


class InLoop:
    """``niquests.AsyncSession``."""

    def __init__(self, settings: Settings) -> None:
        options = {} if settings.retries else {"retries": 0}
        self._session: Any = import_module("niquests").AsyncSession(**options)
        self._url = settings.url
        self._options: dict[str, Any] = {} if settings.timeout is None else {"timeout": settings.timeout}

    async def __aenter__(self) -> InLoop:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, text: str) -> Answer:
        return _answer(await self._session.post(f"{self._url}/echo", json={"text": text}, **self._options))

    async def get(self) -> Answer:
        return _answer(await self._session.get(f"{self._url}/item", **self._options))


def _answer(response: Any) -> Answer:
    return Answer(response.status_code, response.text or "")

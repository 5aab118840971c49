"""httpx and httpx2, blocking and in a loop.

``verify=False`` spares the loading of certificates, which takes longer than a trial; all calls are plain HTTP.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pytest_httpconc.survey.adapters.kinds import Answer, Settings

__all__ = ["Blocking", "InLoop"]


def _options(settings: Settings, transport: Any) -> dict[str, Any]:
    options = {} if settings.timeout is None else {"timeout": settings.timeout}
    return options | ({"verify": False} if settings.retries else {"transport": transport(verify=False, retries=0)})


class Blocking:
    """``httpx.Client``."""

    def __init__(self, module: str, settings: Settings) -> None:
        library = import_module(module)
        self._client: Any = library.Client(**_options(settings, library.HTTPTransport))
        self._url = settings.url

    def __enter__(self) -> Blocking:
        self._client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._client.__exit__(*error)

    def post(self, text: str) -> Answer:
        response = self._client.post(f"{self._url}/echo", json={"text": text})
        return Answer(response.status_code, response.text)

    def get(self) -> Answer:
        response = self._client.get(f"{self._url}/item")
        return Answer(response.status_code, response.text)


class InLoop:
    """``httpx.AsyncClient``."""

    def __init__(self, module: str, settings: Settings) -> None:
        library = import_module(module)
        self._client: Any = library.AsyncClient(**_options(settings, library.AsyncHTTPTransport))
        self._url = settings.url

    async def __aenter__(self) -> InLoop:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.__aexit__(*error)

    async def post(self, text: str) -> Answer:
        response = await self._client.post(f"{self._url}/echo", json={"text": text})
        return Answer(response.status_code, response.text)

    async def get(self) -> Answer:
        response = await self._client.get(f"{self._url}/item")
        return Answer(response.status_code, response.text)

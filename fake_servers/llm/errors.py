"""Errors in each provider's own shape, as its API reference gives it."""

from __future__ import annotations

from typing import Any, Final

from fake_servers.http import HeaderSource, Request, Response
from fake_servers.llm.tokens import digest
from fake_servers.validation import Invalid
from fake_servers.words import Word

__all__ = [
    "Provider",
    "Refused",
    "body_of_error",
    "error_response",
    "id_header",
    "invalid",
    "provider_of",
    "refusal",
    "request_id",
]

_OPENAI_PATHS: Final = ("/v1/chat/", "/v1/completions", "/v1/responses", "/v1/embeddings")
_OPENAI_CODES: Final = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_OPENAI_TYPES: Final = {403: "permission_error", 409: "conflict_error", 408: "timeout_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Provider(Word):
    """Whose API it is."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    OPENROUTER = "openrouter"


class Refused(Exception):
    """A request that is answered with an error and not executed."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: HeaderSource = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = headers


def provider_of(request: Request) -> Provider:
    """Whose words a request is answered in: its path says so, and on shared paths ``anthropic-version``."""
    if request.path.startswith("/api/v1/"):
        return Provider.OPENROUTER
    if request.path.startswith(_OPENAI_PATHS):
        return Provider.OPENAI
    if request.path.startswith("/v1/messages") or "anthropic-version" in request.headers:
        return Provider.ANTHROPIC
    return Provider.OPENAI


def request_id(request: Request) -> str:
    """The request's id, from its number in the ledger."""
    return "req_" + digest("request", getattr(request.exchange, "number", 0))[:24]


def error_response(
    request: Request, status: int, message: str, *, param: str | None = None, code: str | None = None
) -> Response:
    """An error as this request's provider answers it."""
    provider = provider_of(request)
    body = body_of_error(provider, status, message, param=param, code=code)
    if provider is Provider.ANTHROPIC:
        body["request_id"] = request_id(request)
    return Response.json(body, status=status, headers=id_header(request))


def refusal(request: Request, refused: Refused) -> Response:
    """The answer to a request that is refused."""
    answer = error_response(request, refused.status, refused.message, param=refused.param, code=refused.code)
    return answer.with_headers(refused.headers)


def id_header(request: Request) -> dict[str, str]:
    """The header field that carries the request's id."""
    name = "request-id" if provider_of(request) is Provider.ANTHROPIC else "x-request-id"
    return {name: request_id(request)}


def body_of_error(
    provider: Provider, status: int, message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error's body; ``param`` and ``code`` are OpenAI's alone."""
    if provider is Provider.ANTHROPIC:
        return {"type": "error", "error": {"type": _anthropic_type(status), "message": message}}
    if provider is Provider.OPENROUTER:
        return {"error": {"code": status, "message": message}}
    code = code or _OPENAI_CODES.get(status)
    return {"error": {"message": message, "type": _openai_type(status), "param": param, "code": code}}


def _openai_type(status: int) -> str:
    return "server_error" if status >= 500 else _OPENAI_TYPES.get(status, "invalid_request_error")


def _anthropic_type(status: int) -> str:
    return _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def invalid(provider: Provider, problem: Invalid) -> Refused:
    """The 400 that names the first field that is missing or wrong, in the provider's words."""
    first = problem.problems[0]
    place = [part for part in first["loc"] if part != "body"]
    if provider is Provider.ANTHROPIC:
        return Refused(400, f"{'.'.join(map(str, place)) or 'body'}: {first['msg']}")
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    if first["type"] == "missing":
        message = f"Missing required parameter: '{param}'."
    else:
        message = f"Invalid value for '{param or 'body'}': {first['msg']}."
    return Refused(400, message, param=param or None)

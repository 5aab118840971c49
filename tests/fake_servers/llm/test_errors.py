"""Errors in each provider's own words."""

import pytest
import requests

from fake_servers import FakeLLMServer
from fake_servers.faults import Status

MESSAGES = [{"role": "user", "content": "x"}]
BODIES = {
    "/v1/chat/completions": {"model": "m", "messages": MESSAGES},
    "/v1/completions": {"model": "m", "prompt": "x"},
    "/v1/responses": {"model": "m", "input": "x"},
    "/v1/embeddings": {"model": "m", "input": "x"},
    "/v1/messages": {"model": "m", "max_tokens": 9, "messages": MESSAGES},
    "/v1/messages/count_tokens": {"model": "m", "messages": MESSAGES},
    "/api/v1/chat/completions": {"model": "m", "messages": MESSAGES},
}
ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}
OPENAI = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    529: "server_error",
}


@pytest.mark.parametrize(("status", "kind"), ANTHROPIC.items())
def test_injected_status_is_told_as_anthropic_tells_it(server, post, status, kind):
    server.inject(Status(status))
    answer = post("/v1/messages", BODIES["/v1/messages"])
    body = answer.json()
    assert (answer.status_code, body["type"], body["error"]["type"]) == (status, "error", kind)
    assert body["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(("status", "kind"), OPENAI.items())
def test_injected_status_is_told_as_openai_tells_it(server, post, status, kind):
    server.inject(Status(status))
    answer = post("/v1/chat/completions", BODIES["/v1/chat/completions"])
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], set(error)) == (status, kind, {"message", "type", "param", "code"})
    assert answer.headers["x-request-id"].startswith("req_")


def test_injected_status_is_told_as_openrouter_tells_it(server, post):
    server.inject(Status(502))
    answer = post("/api/v1/chat/completions", BODIES["/api/v1/chat/completions"])
    assert answer.json() == {"error": {"code": 502, "message": "injected status 502"}}


def test_what_is_not_there_is_told_by_path_and_by_header(server, post):
    assert requests.get(server.url + "/v1/nope").json()["error"]["type"] == "invalid_request_error"
    by_header = requests.get(server.url + "/v1/nope", headers={"anthropic-version": "2023-06-01"})
    assert by_header.json()["error"]["type"] == "not_found_error"
    own = requests.post(server.url + "/v1/embeddings", json={}, headers={"anthropic-version": "2023-06-01"})
    assert own.json()["error"]["param"] == "model"
    assert requests.get(server.url + "/api/v1/nope").json()["error"]["code"] == 404
    wrong = requests.get(server.url + "/v1/messages")
    assert (wrong.status_code, wrong.headers["Allow"], wrong.json()["type"]) == (405, "POST", "error")


@pytest.mark.parametrize(
    ("path", "changes", "param", "message"),
    [
        ("/v1/chat/completions", {"messages": None}, "messages", "Missing required parameter: 'messages'."),
        ("/v1/chat/completions", {"model": 7}, "model", "Invalid value for 'model': Input should be a valid string."),
        ("/v1/chat/completions", {"messages": []}, "messages", "at least 1 item"),
        ("/v1/chat/completions", {"messages": [7]}, "messages[0]", "valid object"),
        ("/v1/chat/completions", {"messages": [{"content": "x"}]}, "messages[0].role", "Missing"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "me", "content": "x"}]},
            "messages[0].role",
            "one of assistant",
        ),
        ("/v1/chat/completions", {"messages": [{"role": "user"}]}, "messages[0].content", "Missing"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type", ""),
        ("/v1/chat/completions", {"n": 0}, "n", "from 1 to 128"),
        ("/v1/chat/completions", {"temperature": 3}, "temperature", "from 0 to 2"),
        ("/v1/chat/completions", {"stop": [7]}, "stop", "array of strings"),
        ("/v1/chat/completions", {"tools": [7]}, "tools[0]", "valid object"),
        ("/v1/chat/completions", {"tools": [{"type": "function"}]}, "tools[0].function", "Missing"),
        ("/v1/chat/completions", {"tool_choice": "required"}, "tool_choice", "given in 'tools'"),
        ("/v1/chat/completions", {"tool_choice": "now"}, "tool_choice", "none, auto, required"),
        ("/v1/responses", {"input": []}, "input", "at least 1 item"),
        ("/v1/responses", {"tool_choice": {"type": "function", "name": "f"}}, "tool_choice.name", "given in 'tools'"),
        ("/v1/embeddings", {"input": ""}, "input", "empty string"),
        ("/v1/embeddings", {"input": [["x"]]}, "input[0]", "token numbers"),
        ("/v1/embeddings", {"dimensions": 0}, "dimensions", "from 1 to 4096"),
        ("/v1/embeddings", {"encoding_format": "hex"}, "encoding_format", "float or base64"),
        ("/v1/completions", {"prompt": []}, "prompt", "from 1 to 2048"),
    ],
)
def test_field_that_is_missing_or_wrong_is_named(post, path, changes, param, message):
    answer = post(path, BODIES[path] | changes)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"messages": None}, "messages: Field required"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be from 1 to 2147483648"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role: Input should be one of assistant, user"),
        ({"tools": [{"description": "x"}]}, "tools.0.name: Field required"),
        ({"tool_choice": {"type": "all"}}, "tool_choice.type: Input should be auto, any, none, or tool with a name"),
        ({"system": [7]}, "system.0: Input should be a valid object"),
    ],
)
def test_anthropic_names_the_field(post, changes, message):
    answer = post("/v1/messages", BODIES["/v1/messages"] | changes)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"model": NaN}', b"[" * 100_000, b"9" * 5000])
@pytest.mark.parametrize("path", BODIES)
def test_body_that_is_no_object_is_400(server, path, body):
    assert requests.post(server.url + path, data=body).status_code == 400


def test_keys_are_checked_before_anything_else():
    with FakeLLMServer(api_keys=["sk-right"]) as server, requests.Session() as session:
        for path, body in BODIES.items():
            for headers in ({}, {"Authorization": "Bearer sk-wrong"}, {"x-api-key": "sk-wrong"}):
                answer = session.post(server.url + path, json={}, headers=headers)
                assert answer.status_code == 401, path
            for headers in ({"Authorization": "Bearer sk-right"}, {"x-api-key": "sk-right"}):
                assert session.post(server.url + path, json=body, headers=headers).status_code == 200, path
        assert session.get(server.url + "/v1/models").status_code == 401
        assert session.get(server.url + "/health").status_code == 200


def test_model_that_is_not_there_is_404():
    with FakeLLMServer(models=["m", "org/n"]) as server, requests.Session() as session:
        for path, body in BODIES.items():
            if path.endswith("count_tokens"):
                continue
            answer = session.post(server.url + path, json=body | {"model": "other"})
            assert (answer.status_code, "other" in answer.json()["error"]["message"]) == (404, True), path
            assert session.post(server.url + path, json=body).status_code == 200
        assert [m["id"] for m in session.get(server.url + "/v1/models").json()["data"]] == ["m", "org/n"]
        assert session.get(server.url + "/v1/models/org/n").json()["id"] == "org/n"
        assert session.get(server.url + "/v1/models/org%2Fn").json()["id"] == "org/n"
        assert session.get(server.url + "/api/v1/models").json()["data"][0]["pricing"]["prompt"]
        assert session.get(server.url + "/v1/models/other").status_code == 404
        assert server.ledger.executions("POST /v1/completions") == 1


def test_scripted_status_is_answered_without_execution(server, chat):
    server.script("x", status=503, error="No GPU left")
    answer = chat("x")
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "No GPU left")
    assert server.ledger.executions() == 0


def test_anthropic_counts_tokens(post):
    body = {"model": "m", "messages": MESSAGES, "system": [{"type": "text", "text": "Be brief."}]}
    assert post("/v1/messages/count_tokens", body).json() == {"input_tokens": 3}


def test_error_of_the_server_itself_is_in_the_same_words():
    server = FakeLLMServer().start()
    try:
        server._generation = None
        answer = requests.post(server.url + "/v1/messages", json=BODIES["/v1/messages"])
    finally:
        server.stop()
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error")
    assert len(server.errors) == 1

"""Redirects through a proxy: within the upstream they lead back to the proxy."""

import pytest
import requests

from fake_servers import ChaosProxy, Response


@pytest.mark.parametrize(
    ("location", "received"),
    [
        ("{upstream}/v1/next?page=2", "http://x/next?page=2"),
        ("{upstream}/v1", "http://x"),
        ("{upstream}/v10", "{upstream}/v10"),
        ("/v1/next?page=2", "/next?page=2"),
        ("/v1", "/"),
        ("/v1?page=2", "/?page=2"),
        ("/v1//elsewhere.example", "http://x//elsewhere.example"),
        ("/v10", "/v10"),
        ("next", "next"),
        ("https://elsewhere.example/v1/next", "https://elsewhere.example/v1/next"),
    ],
)
def test_redirect_within_the_upstream_leads_back_to_the_proxy(real, connect, location, received):
    location = location.format(upstream=real.url)
    real.route("GET /v1/old")(lambda request: Response(status=302, headers={"Location": location}))
    with ChaosProxy(real.url + "/v1/") as proxy:
        assert connect(proxy).ask("/old").headers["location"] == received.format(upstream=real.url)


@pytest.mark.parametrize("origin", ["", "{upstream}"])
def test_redirect_within_the_upstream_is_followed_through_the_proxy(real, origin):
    real.route("GET /v1/old")(
        lambda request: Response(status=302, headers={"Location": origin.format(upstream=real.url) + "/v1/new"})
    )
    real.route("GET /v1/new")(lambda request: Response.text("new"))
    with ChaosProxy(real.url + "/v1") as proxy:
        assert requests.get(proxy.url + "/old", timeout=10).text == "new"
        assert proxy.ledger.count("GET /new") == 1

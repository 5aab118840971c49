"""requests: a session with timeouts, and no retries of its own."""

import pytest
import requests

from pytest_httpconc import ClientContract


class TestRequests(ClientContract):
    connect_timeout = 5.0
    read_timeout = 1830.0
    short_timeout = 1.0
    strict_headers = True
    known = {
        "test_malformed_answer_is_refused[header]": {"HC602": "http.client takes a bad header line for the last one"},
    }

    @pytest.fixture
    def client(self):
        with requests.Session() as session:
            yield session

    def call(self, client, url, payload):
        response = client.post(url, json=payload, timeout=(self.connect_timeout, self.read_timeout))
        response.raise_for_status()
        return response.json()

"""requests with a pool of four connections, for which further calls wait, and retries that are meant."""

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from pytest_httpconc import ClientContract


class TestRequestsWithALimit(ClientContract):
    max_connections = 4
    retry_statuses = {429, 503}
    read_timeout = 30.0

    @pytest.fixture
    def client(self):
        retries = Retry(total=3, read=0, status_forcelist={429, 503}, allowed_methods=None)
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(pool_maxsize=4, pool_block=True, max_retries=retries))
            yield session

    def call(self, client, url, payload):
        response = client.post(url, json=payload, timeout=30.0)
        response.raise_for_status()
        return response.json()

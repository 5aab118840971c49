"""The live page in Chromium, beside a server that runs."""

import socket

import pytest
import requests
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from fake_servers import FakeServer, Response
from pytest_httpconc.dashboard.hosting import Dashboard

pytestmark = pytest.mark.browser

PATIENCE = 10


@pytest.fixture
def server():
    with FakeServer() as server:
        server.route("*")(lambda request: Response(request.body))
        yield server


@pytest.fixture
def page(server, watch):
    with Dashboard([server]) as dashboard:
        yield watch(dashboard.url)


def until(page, holds):
    """Wait until the page shows what it should, and has drawn it."""
    WebDriverWait(page.browser, PATIENCE, poll_frequency=0.05).until(lambda _: holds())
    page.settle()


def numbers(page):
    return page.texts(".exchanges tbody tr:not(.space) td:first-child")


def count(page):
    """How many exchanges the page says there were."""
    (counted,) = [text for text in page.texts(".counts div") if text.startswith("exchanges")] or [""]
    return counted.removeprefix("exchanges")


def test_lane_appears_when_a_request_is_made_and_the_rest_stays_as_it_was_left(server, page):
    until(page, lambda: page.texts("#summary") == ["live"])
    assert page.texts(".details") == ["No request came."]
    with requests.Session() as session:
        session.post(f"{server.url}/orders", data="tea")
        until(page, lambda: numbers(page) == ["1"])
        assert (page.drawn("lanes"), page.drawn()) == (1, 1)
        for _ in range(20):
            session.get(f"{server.url}/slow")
        until(page, lambda: count(page) == "21")
        whole = page.width
        page.type("main canvas[role]", Keys.HOME, "++")
        page.type(".find-exchange", "/orders")
        assert page.width < whole
        assert numbers(page) == ["1"]
        begin = page.window[0]
        session.post(f"{server.url}/orders", data="milk")
        until(page, lambda: numbers(page) == ["1", "22"])
        assert page.window[0] == pytest.approx(begin)
        assert page.texts(".details dd")[0] == "1, the 1st on connection 1"
        assert page.one(".find-exchange").get_attribute("value") == "/orders"
    page.click("[title='Fit all']")
    assert page.one("[title='Go with what comes']").get_attribute("aria-pressed") == "true"


def test_fault_is_injected_from_the_page_seen_found_and_taken_back(server, page):
    page.click(".controls summary")
    page.type("[name='fault']", "Diskonnect", Keys.ENTER)
    until(page, lambda: "did you mean 'Disconnect'?" in page.texts(".problem")[0])
    page.type("[name='fault']", Keys.BACKSPACE * 10, "Disconnect(at=EXECUTED)")
    page.type("[name='on']", "POST /orders", Keys.ENTER)
    until(page, lambda: page.texts(".injections li") == ["Take backDisconnect(at=EXECUTED) on POST /orders"])
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{server.url}/orders", data="tea")
    until(page, lambda: page.texts(".finding .code") == ["HC201"])
    page.click(".finding button")
    assert page.texts(".details dd")[0] == "1, the 1st on connection 1"
    for one in page.all("button, input, canvas[role], main"):
        assert one.accessible_name or not one.is_displayed(), one.get_attribute("outerHTML")
    page.click(".injections button")
    until(page, lambda: not page.texts(".injections li"))
    assert requests.post(f"{server.url}/orders", data="tea").text == "tea"
    page.click("[title^='Forget']")
    until(page, lambda: count(page) == "0")
    assert numbers(page) == []
    assert not page.all(".finding")


def ask(server, count):
    """Send so many requests on one connection, some hundreds at a time, and read their answers."""
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((server.address, server.port), PATIENCE) as sock:
        for begin in range(0, count, 500):
            wanted, answers = min(500, count - begin), b""
            sock.sendall(request * wanted)
            while answers.count(b"\r\n\r\n") < wanted:
                answers += sock.recv(1 << 20)


def test_of_many_exchanges_the_last_ten_thousand_are_shown(server, watch):
    ask(server, 9000)
    with Dashboard([server]) as dashboard:
        page = watch(dashboard.url)
        until(page, lambda: count(page) == "9,000")
        ask(server, 1005)
        until(page, lambda: count(page) == "10,005")
        kept = "Details of the last 10,000 exchanges were kept."
        until(page, lambda: page.texts(".counts + .empty") == [kept])
        assert page.run("document.querySelectorAll('*').length") < 1500
        page.type("main canvas[role]", Keys.HOME)
        assert page.texts(".details dd")[0] == "6, the 6th on connection 1"
        page.type("main canvas[role]", Keys.END)
        assert page.texts(".details dd")[0] == "10005, the 1005th on connection 2"

"""The page as a file: it holds all that it needs, and nothing in it can become markup."""

import json
import re
from html.parser import HTMLParser

from fake_servers.ledger import Connection, Exchange, Ledger
from pytest_httpconc.report.html import render_page
from pytest_httpconc.report.model import Report

HOSTILE = '/</script><script>alert(1)</script><!-- & " \' <script x="]]>'
LOADING = {"src", "href", "srcset", "data", "action", "formaction", "poster", "background", "cite", "manifest"}


class Page(HTMLParser):
    """Elements with their attributes, and what stands in scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def hostile(seen):
    ledger = Ledger.of([Connection(number=1)], [Exchange(number=1, connection=1, target=HOSTILE, method=HOSTILE)])
    return Report(title=HOSTILE, tests=[seen(ledger, name=HOSTILE, message=HOSTILE)])


def test_data_stays_data(seen):
    page = Page(render_page(hostile(seen)))
    data, script = page.scripts
    assert json.loads(data)["tests"][0]["name"] == HOSTILE
    assert script == Page(render_page(Report())).scripts[1]
    assert not re.search("[<>&]", data)


def test_data_adds_no_element(seen):
    assert [tag for tag, _ in Page(render_page(hostile(seen))).elements] == [
        tag for tag, _ in Page(render_page(Report())).elements
    ]


def test_page_refers_to_nothing_outside(resent_test):
    text = render_page(Report(tests=[resent_test]))
    for tag, attributes in Page(text).elements:
        for name in LOADING & set(attributes):
            assert attributes[name].startswith(("#", "data:")), (tag, name)
    style = re.search("<style>(.*)</style>", text, re.DOTALL)[1]
    assert not re.search(r"url\(|@import", style)
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|\bimport\b", Page(text).scripts[1])


def test_policy_allows_this_script_and_style_and_no_network():
    policy = next(a["content"] for tag, a in Page(render_page(Report())).elements if "http-equiv" in a)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].startswith("'sha256-")
    assert rules["style-src"].startswith("'sha256-")
    assert "unsafe" not in policy

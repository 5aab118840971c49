"""The site builds without a warning, needs nothing from elsewhere, and has what is public in its reference."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import fake_servers
import fake_servers.agent
import pytest_httpconc
from fake_servers import faults, latency
from pytest_httpconc import checks

ROOT = Path(__file__).parents[2]
PUBLIC = (fake_servers, fake_servers.agent, faults, latency, pytest_httpconc, checks)


class Page(HTMLParser):
    """What a page loads, where its links lead, and what in it can be led to."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors.add(values.get("id"))
        if tag == "a":
            self.links.append(values.get("href") or "")
        elif tag in {"link", "script", "img", "iframe"} and values.get("rel") != "canonical":
            self.loads += [values[name] for name in ("href", "src") if values.get(name)]


def is_elsewhere(link):
    return link.startswith(("http:", "https:", "//", "mailto:"))


def leads_nowhere(pages, place, link):
    path, anchor = urldefrag(link)
    target = Path(os.path.normpath(place.parent / unquote(path))) if path else place
    if target not in pages:
        return not target.exists()
    return bool(anchor) and unquote(anchor) not in pages[target].anchors


def test_site_is_whole(tmp_path):
    """One test of one build, as that takes most of the time."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert (built.returncode, built.stdout + built.stderr) == (0, "")

    pages = {path: Page(path) for path in tmp_path.rglob("*.html") if path.name != "404.html"}
    assert [(place.name, load) for place, page in pages.items() for load in page.loads if is_elsewhere(load)] == []
    inside = [(place, link) for place, page in pages.items() for link in page.links if not is_elsewhere(link)]
    assert [(place.name, link) for place, link in inside if leads_nowhere(pages, place, link)] == []

    described = {anchor for page in pages.values() for anchor in page.anchors}
    public = {f"{module.__name__}.{name}": getattr(module, name) for module in PUBLIC for name in module.__all__}
    found = [thing for name, thing in public.items() if name in described]
    assert [name for name, thing in public.items() if all(thing is not other for other in found)] == []

"""Chromium, started once, and a report that is open in it."""

import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from pytest_httpconc.report.html import render_page
from pytest_httpconc.report.model import Report

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1300,1000"
)
SETTLE = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));"


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")  # the driver is on this machine
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        yield driver
        driver.quit()


class Page:
    """A report, or a live page, that is open."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)
        self.settle()

    def settle(self):
        """Wait until the browser has drawn what was asked for."""
        self.browser.execute_async_script(SETTLE)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        return self.browser.execute_script(f"return {script}", *arguments)

    def texts(self, selector):
        return self.run("[...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)

    def click(self, selector):
        self.one(selector).click()
        self.settle()

    def type(self, selector, *keys):
        self.one(selector).send_keys(*keys)
        self.settle()

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()
        self.settle()

    @property
    def canvas(self):
        return self.one("main canvas[role]")

    @property
    def window(self):
        return tuple(float(self.canvas.get_attribute(f"data-{edge}")) for edge in ("from", "to"))

    @property
    def width(self):
        begin, end = self.window
        return end - begin

    def drawn(self, what="drawn"):
        return int(self.canvas.get_attribute(f"data-{what}"))

    def colors(self):
        """The colours of the canvas, as it is now."""
        script = """[...new Set((() => {
            const { width, height } = document.querySelector("main canvas[role]");
            const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
            copy.drawImage(document.querySelector("main canvas[role]"), 0, 0);
            const { data } = copy.getImageData(0, 0, width, height);
            return Array.from({ length: data.length / 4 }, (_, i) => `${data.slice(4 * i, 4 * i + 4)}`);
        })())]"""
        return {tuple(map(int, color.split(","))) for color in self.run(script)}


@pytest.fixture
def show(browser, tmp_path):
    """Open a report of these tests; the browser must have nothing to complain about in the end."""

    def page(*tests):
        path = tmp_path / "report.html"
        path.write_text(render_page(Report(tests=tests)), encoding="utf-8")
        return Page(browser, path.as_uri())

    yield page
    assert browser.get_log("browser") == []


@pytest.fixture
def watch(browser):
    """Open a live page, by its address; likewise."""
    yield lambda url: Page(browser, url)
    browser.get("about:blank")  # what is gone after the test is not asked for its news
    assert browser.get_log("browser") == []

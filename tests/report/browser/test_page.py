"""The page in Chromium: what it shows, keys, colours, paper."""

import base64
import re

import pytest
from selenium.webdriver.common.keys import Keys

from fake_servers.ledger import Connection, Exchange, Ledger
from pytest_httpconc.report.model import Figure, Verdict

pytestmark = pytest.mark.browser


def test_page_shows_the_test_that_failed_with_its_finding_and_timeline(show, resent_test, seen, crowd, tmp_path):
    page = show(seen(crowd(1, 1), name="test_that_passed"), resent_test)
    assert "test_runs_once" in page.one("main h2").text
    assert page.one("main .finding h4").text.startswith("HC201 request sent again")
    assert "exchange 1 was sent again as exchange 2" in page.one("main .finding pre").text
    assert (page.drawn("lanes"), page.drawn()) == (2, 3)
    blue, vermilion, amber = (0, 114, 178, 255), (213, 94, 0, 255), (230, 159, 0, 255)
    assert {blue, vermilion, amber} <= page.colors()
    assert page.browser.save_screenshot(str(tmp_path / "report.png"))


def test_page_loads_nothing(show, resent_test):
    assert show(resent_test).run("performance.getEntriesByType('resource').map((one) => one.name)") == []


def test_tests_are_found_by_name_outcome_and_finding(show, resent_test, seen, crowd):
    page = show(resent_test, seen(crowd(1, 1), name="test_other"))

    def listed():
        return [one.text for one in page.all("#tests .name") if one.is_displayed()]

    page.type("#find-test", "hc201")
    assert listed() == ["tests/test_docker.py::test_runs_once"]
    page.type("#find-test", "x")
    assert listed() == []
    assert page.one("#no-tests").text == "No test matches."
    page.one("#find-test").clear()
    page.type("#find-test", "test")
    page.click("#test-outcomes button:last-child")
    assert listed() == ["test_other"]


def test_keys_alone_reach_and_work_everything(show, resent_test, seen, crowd):
    page = show(resent_test, seen(crowd(2, 5), name="test_other"))
    page.press("j")
    assert page.one("main h2").text.endswith("test_other")
    page.press("/", "post", Keys.ESCAPE)
    for _ in range(30):
        if page.run("document.activeElement === arguments[0]", page.canvas):
            break
        page.press(Keys.TAB)
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert page.one(".details dd").text == "7, the 2nd on connection 2"
    assert "exchange 7" in page.one("[aria-live]").get_attribute("textContent")
    whole = page.width
    page.press(Keys.ENTER)
    assert page.width < whole
    page.press("0", Keys.END)
    assert page.one(".details dd").text == "10, the 5th on connection 2"
    assert page.width == whole
    page.press("?")
    assert page.one("#keys").is_displayed()
    page.press(Keys.ESCAPE)
    assert not page.one("#keys").is_displayed()


def test_everything_that_is_pressed_or_filled_in_has_a_name(show, resent_test):
    page = show(resent_test)
    for one in page.all("button, input, canvas[role], nav, main, [tabindex='0']"):
        if one.is_displayed():
            assert one.accessible_name, one.get_attribute("outerHTML")


@pytest.mark.parametrize("way", ["preference", "switch"])
def test_page_is_dark_where_that_is_wanted(show, resent_test, way):
    page = show(resent_test)

    def lightness():
        return sum(map(int, re.findall(r"\d+", page.run("getComputedStyle(document.body).backgroundColor"))[:3]))

    light, colors = lightness(), page.colors()
    if way == "preference":
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    else:
        page.click("#theme")
        page.click("#theme")
    page.settle()
    assert lightness() < 150 < 600 < light
    assert page.colors() != colors
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_paper_has_every_test_on_a_page_of_its_own(show, resent_test, seen, crowd):
    page = show(resent_test, seen(crowd(2, 5), name="test_other"), seen(crowd(400, 1), name="test_wide"))
    pdf = base64.b64decode(page.browser.print_page())
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert [name.removeprefix("failed").removeprefix("passed") for name in page.texts("#print h2")] == [
        "tests/test_docker.py::test_runs_once",
        "test_other",
        "test_wide",
    ]
    assert all(
        height < 1100 for height in page.run("[...document.querySelectorAll('canvas.whole')].map((c) => c.height)")
    )
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.texts("#print") == [""]


def test_markup_from_a_test_stays_text(show, seen):
    hostile = "</script><script>window.harmed = true</script><img src=x onerror='window.harmed = true'>"
    ledger = Ledger.of([Connection(number=1)], [Exchange(number=1, connection=1, target=f"/{hostile}", ended_at=1.0)])
    page = show(seen(ledger, name=hostile, message=hostile, outcome="failed"))
    page.type("#test canvas[role]", Keys.HOME)
    assert hostile in page.one("main h2").text
    assert hostile in page.one(".details").text
    assert page.run("window.harmed === undefined")
    assert page.all("#test img") == []


def test_figures_stand_beside_their_baselines(show, seen):
    figures = [
        Figure(name="p99", value=0.031, low=0.028, high=0.035, baseline_low=0.02, baseline_high=0.025, unit="s"),
        Figure(name="connections", value=20, baseline_high=10, verdict=Verdict.REGRESSED),
    ]
    page = show(seen(figures=figures))
    texts = [row.text for row in page.all(".figures tbody tr")]
    assert "0.031 s (0.028 to 0.035)" in texts[0]
    assert "0.02 to 0.025 s" in texts[0]
    assert "at most 10" in texts[1]
    assert "regressed" in texts[1]
    dot, band = (
        page.run(f"document.querySelector('.figures .{part}').getBoundingClientRect()") for part in ("dot", "band")
    )
    assert dot["left"] > band["right"]


def test_empty_report_says_so(show):
    page = show()
    assert page.one("main").text == "No test of this run used a fake server, or measured anything."

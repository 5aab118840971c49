"""The timeline in Chromium, with its filter and table."""

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

from fake_servers.ledger import Connection, Exchange, Ledger

pytestmark = pytest.mark.browser


def test_zoom_narrows_the_window_and_draws_what_is_in_it(show, seen, crowd):
    page = show(seen(crowd(3, 100)))
    whole, all_drawn = page.width, page.drawn()
    for act in (
        lambda: page.click("[aria-label='Zoom in']"),
        lambda: page.type("#test canvas[role]", "+"),
        lambda: (
            ActionChains(page.browser)
            .key_down(Keys.CONTROL)
            .scroll_from_origin(ScrollOrigin.from_element(page.canvas), 0, -200)
            .key_up(Keys.CONTROL)
            .perform()
        ),
    ):
        before = page.width
        act()
        page.settle()
        assert page.width < before
    assert page.drawn() < all_drawn
    begin = page.window[0]
    page.click("[aria-label='Later']")
    assert page.window[0] > begin
    page.click("[title='Fit all']")
    assert (page.width, page.drawn()) == (whole, all_drawn)


def test_dragging_moves_the_window(show, seen, crowd):
    page = show(seen(crowd(3, 100)))
    page.type("#test canvas[role]", "++++")
    begin, width = page.window[0], page.width
    ActionChains(page.browser).move_to_element(page.canvas).click_and_hold().move_by_offset(120, 0).release().perform()
    page.settle()
    assert page.window[0] < begin
    assert page.width == pytest.approx(width)


def test_pointing_at_a_bar_tells_of_it(show, seen):
    page = show(seen(Ledger.of([Connection(number=1)], [Exchange(number=1, connection=1, target="/x", ended_at=1.0)])))
    ActionChains(page.browser).move_to_element_with_offset(page.canvas, 0, 10).perform()
    page.settle()
    assert "GET /x" in page.one(".tip").text


def test_filter_by_outcome_leaves_those_rows_and_lanes(show, resent_test):
    page = show(resent_test)
    assert page.texts(".exchanges tbody tr:not(.space) td:first-child") == ["1", "2", "3"]
    page.click("[data-outcome='answered']")
    assert page.texts(".exchanges tbody tr:not(.space) td:first-child") == ["1", "3"]
    page.click("[data-outcome='aborted by client']")
    assert page.texts(".exchanges tbody tr:not(.space) td:first-child") == ["1"]
    assert (page.drawn("lanes"), page.drawn()) == (1, 1)
    assert page.one(".shown").text == "1 of 3 exchanges"
    assert page.one("[data-outcome='answered']").get_attribute("aria-pressed") == "false"


def test_filter_by_text_looks_at_request_status_and_fault(show, resent_test):
    page = show(resent_test)
    for words, left in {"slow": ["3"], "post 200": ["2"], "disconnect": ["1"], "nothing like it": []}.items():
        page.one(".find-exchange").clear()
        page.type(".find-exchange", words)
        assert page.texts(".exchanges tbody tr:not(.space) td:first-child") == left
        assert page.one(".shown").text == f"{len(left)} of 3 exchanges"


def test_table_is_sorted_by_any_column(show, resent_test):
    page = show(resent_test)
    took = ".exchanges th:last-child button"
    page.click(took)
    assert page.texts(".exchanges tbody tr:not(.space) td:first-child") == ["2", "3", "1"]
    page.click(took)
    assert page.texts(".exchanges tbody tr:not(.space) td:first-child") == ["1", "3", "2"]
    assert page.one(".exchanges th:last-child").get_attribute("aria-sort") == "descending"


def test_finding_leads_to_its_exchange(show, resent_test):
    page = show(resent_test)
    page.click(".finding button")
    assert page.one(".details dd").text == "1, the 1st on connection 1"
    assert page.run("document.activeElement === arguments[0]", page.canvas)


def test_ten_thousand_exchanges_take_no_more_room_in_the_page_than_a_few(show, seen, crowd):
    page = show(seen(crowd(1000, 10)))
    assert page.one(".counts").text.splitlines().count("10,000") >= 1
    assert page.run("document.querySelectorAll('*').length") < 1500
    assert page.run("arguments[0].height", page.canvas) < 1000
    page.type("#test canvas[role]", Keys.END, Keys.ENTER)
    assert page.one(".details dd").text == "10000, the 10th on connection 1000"
    assert page.one("tr[aria-selected='true'] td").text == "10,000"
    page.type(".find-exchange", "/1 ")
    assert page.drawn("lanes") == 1000


def test_connection_without_a_request_says_so(show, seen):
    page = show(seen(Ledger.of([Connection(number=1, closed_at=1.0)])))
    assert page.one(".details").text == "No request came."
    assert page.drawn("lanes") == 1

"""What a log record may keep while a sweep runs."""

from __future__ import annotations

import logging
import weakref

from pytest_httpconc.sweeps.logs import records_without_frames


class Retry:
    """Holds what was raised, and so the frames of a client, as urllib3's does."""

    def __str__(self):
        return "Retry(total=2)"


def test_record_keeps_the_text_of_an_object_and_not_the_object(caplog):
    retry = Retry()
    gone = weakref.ref(retry)
    with records_without_frames():
        logging.getLogger("client").warning("%s, %d left of %s: %.1f", retry, 2, "three", 0.25)
    del retry
    assert gone() is None
    assert caplog.messages == ["Retry(total=2), 2 left of three: 0.2"]


def test_record_keeps_the_text_of_an_exception_and_not_its_frames(caplog):
    with records_without_frames():
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("client").exception("it failed")
    [record] = caplog.records
    assert record.exc_info is None
    assert "ValueError: broken" in record.exc_text

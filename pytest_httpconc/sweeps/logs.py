"""Log records that keep no traceback: pytest keeps the records, and a traceback's frames keep a client's pool open."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any, Final

__all__ = ["records_without_frames"]

_PLAIN: Final = (str, bytes, Number, type(None))


@contextmanager
def records_without_frames() -> Iterator[None]:
    """During a ``with`` block, a record of an exception, or of anything that may hold one, is made with its text."""
    make = logging.getLogRecordFactory()
    formatter = logging.Formatter()

    def make_without(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            record.exc_text = formatter.formatException(record.exc_info)
            record.exc_info = None
        if isinstance(record.args, tuple):
            # Others may hold an exception, as urllib3's Retry does.
            record.args = tuple(a if isinstance(a, _PLAIN) else str(a) for a in record.args)
        return record

    logging.setLogRecordFactory(make_without)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)

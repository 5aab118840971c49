"""Log records that keep no traceback: pytest keeps the records, and a traceback's frames keep a client's pool open."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["records_without_frames"]


@contextmanager
def records_without_frames() -> Iterator[None]:
    """During a ``with`` block, a record of an exception is made with its text in place of it."""
    make = logging.getLogRecordFactory()
    formatter = logging.Formatter()

    def make_without(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            record.exc_text = formatter.formatException(record.exc_info)
            record.exc_info = None
        if isinstance(record.args, tuple) and any(isinstance(a, BaseException) for a in record.args):
            record.args = tuple(str(a) if isinstance(a, BaseException) else a for a in record.args)
        return record

    logging.setLogRecordFactory(make_without)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)

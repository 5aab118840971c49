"""A time limit around what is awaited, on every Python.

Not ``asyncio.wait_for``, which before Python 3.12 can lose a cancellation that comes together with the result.
"""

import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

__all__ = ["timeout"]

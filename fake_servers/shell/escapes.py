"""Text at the shell's borders: bytes, backslash escapes, and names as they appear in messages."""

from __future__ import annotations

import re

_SIMPLE = dict(zip("abeEfnrtv\\", "\a\b\x1b\x1b\f\n\r\t\v\\", strict=True))
_HEXADECIMAL = r"x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}"
_ESCAPE = re.compile(rf"\\(0[0-7]{{0,3}}|{_HEXADECIMAL}|.)", re.DOTALL)  # echo -e, printf %b
_QUOTED_ESCAPE = re.compile(rf"\\([0-7]{{1,3}}|{_HEXADECIMAL}|.)", re.DOTALL)  # printf formats, $'...'
_PLAIN_NAME = re.compile(r"[^\s'\"\\$`!*?\[\](){}<>|&;#~^=]+")


def encode(text: str) -> bytes:
    """The bytes of a text, including bytes that `decode` could not read."""
    return text.encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    """The text of some bytes; what is not UTF-8 survives a round trip through `encode`."""
    return data.decode("utf-8", "surrogateescape")


def well_formed(text: str) -> str:
    """The text with lone surrogates, which no command line can hold, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def unescape(text: str, *, quotes: bool = False) -> tuple[str, bool]:
    """Replace backslash escapes, and tell whether a `\\c` asked for all further output to stop.

    With `quotes` the dialect is that of `printf` formats and `$'...'`: `\\101` instead of `\\0101`, and
    no `\\c`.
    """
    if quotes:
        return _QUOTED_ESCAPE.sub(_quoted_replacement, text), False
    stop = next((found.start() for found in _ESCAPE.finditer(text) if found[1] == "c"), None)
    return _ESCAPE.sub(_replacement, text[:stop]), stop is not None


def _quoted_replacement(found: re.Match[str]) -> str:
    if found[1] in "'\"?":
        return found[1]
    return _octal(found[1]) if found[1][0] in "1234567" else _replacement(found)


def _octal(digits: str) -> str:
    return decode(bytes([int(digits, 8) & 0xFF]))


def _replacement(found: re.Match[str]) -> str:
    kind, digits = found[1][0], found[1][1:]
    if kind == "0":
        return _octal(found[1])
    if kind == "x" and digits:
        return decode(bytes([int(digits, 16)]))
    if kind in "uU" and digits:
        return _character(int(digits, 16))
    return _SIMPLE.get(found[1], found[0])


def _character(code: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\N{REPLACEMENT CHARACTER}"
    return chr(code)


def quoted(name: str) -> str:
    """A name in shell quotes, as coreutils print it in most messages."""
    if "'" in name and not any(char in name for char in '"$`\\!'):
        return f'"{name}"'
    return "'" + name.replace("'", "'\\''") + "'"


def quoted_if_needed(name: str) -> str:
    """A name as `cat: name: ...` shows it: in quotes only if a shell would need them."""
    return name if _PLAIN_NAME.fullmatch(name) else quoted(name)

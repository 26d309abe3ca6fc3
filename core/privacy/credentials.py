"""Credentials in a text: addresses with a password (``https://user:password@host``), and signed or secret parameters.

Other parts of an address are kept, so that a link without credentials still works.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

REMOVED = "[removed]"

_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]{0,30}://"
_ADDRESS = re.compile(
    rf"({_SCHEME})((?:(?!{_SCHEME})[^\s\"'<>\\])+)"
)  # up to the next address in the same text
_WEB = ("http://", "https://")
_PORT = re.compile(r"[^/@]*:\d+(?=[/?#]|$)")
_PASSWORD = re.compile(r"[^/@:?#]*:(?:[^/?#]*@|[^@]*@)")  # a password may hold @ or a slash
_USER = re.compile(r"[^/?#]*@")
_PARAMETER = re.compile(r"(?<=[?&#;])([^=&#;?/]{1,100})=([^&#;]*)")
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SECRET_NAMES = """
    accesskey accesstoken apikey auth authorization credential credentials jwt key keyid pass passwd password pwd sas
    secret sessionid sig sign signature token
"""
_SECRET = frozenset(_SECRET_NAMES.split())


def without_credentials(text: str) -> str:
    """Return a text with the credentials of each address in it replaced by ``[removed]``.

    These are what stands before ``@`` if it is a password or belongs to a web address, and the values of parameters
    such as ``X-Amz-Signature``, ``sig``, ``token`` or ``api_key``.

    Args:
        text: Any text, such as the cell of a table.

    Returns:
        The text; it is the same if it holds no credentials.
    """
    return _ADDRESS.sub(_cleaned, text) if "://" in text else text


def _cleaned(found: re.Match[str]) -> str:
    scheme, rest = found.groups()
    if (end := _end_of_user(scheme, rest)) is not None:
        rest = f"{REMOVED}@{rest[end:]}"
    return scheme + _PARAMETER.sub(_parameter, rest)


def _end_of_user(scheme: str, rest: str) -> int | None:
    """Return where user and password of an address end; None if it has none, or a name alone that is no token."""
    if _PORT.match(rest):
        return None
    user = _PASSWORD.match(rest) or (_USER.match(rest) if scheme.lower() in _WEB else None)
    return None if user is None else user.end()


def _parameter(found: re.Match[str]) -> str:
    name, value = found.groups()
    return f"{name}={REMOVED}" if value and (_is_secret(name) or _quotes_secret(value)) else found[0]


def _is_secret(name: str) -> bool:
    plain = unquote(name)
    words = {word.lower() for word in _WORD.findall(plain)}
    return not _SECRET.isdisjoint({*words, re.sub(r"[^a-z]", "", plain.lower())})


def _quotes_secret(value: str) -> bool:
    """Return whether the value is another address, written with %, that holds credentials."""
    scheme, found, rest = unquote(value).partition("://")
    if not found or "%" not in value:
        return False
    has_user = _end_of_user(f"{scheme}://", rest) is not None
    return has_user or any(_is_secret(one[1]) for one in _PARAMETER.finditer(rest))

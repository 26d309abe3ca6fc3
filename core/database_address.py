"""The address of a PostgreSQL database. Its password is never shown."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_SCHEMES = ("postgresql", "postgres")
_SHAPE = "it must look like postgresql://user:password@host:5432/name; write @ : / ? # in the password as %40 %3A %2F %3F %23"


def checked_address(address: str) -> str:
    """Return the address of a PostgreSQL database without spaces around it.

    Raises:
        ValueError: It is not such an address. The message holds no part of it, since that part may be the password.
    """
    address = address.strip()
    try:
        parts = urlsplit(address)
        usable = parts.scheme in _SCHEMES and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(_SHAPE) from None
    beside = parts.path + parts.query + parts.fragment
    if parts.netloc.count("@") > 1 or "@" in beside or parts.fragment:
        raise ValueError(_SHAPE)
    return address


def shown_address(address: str) -> str:
    """Return an address without its password and its further options: ``postgresql://user@host:5432/name``."""
    parts = urlsplit(address)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"postgresql://{user}{parts.hostname or ''}{port}{parts.path}"


def without_password(text: str, address: str) -> str:
    """Return a text in which the password of an address is replaced by ``***``."""
    for password in sorted(_passwords(urlsplit(address)), key=len, reverse=True):
        text = text.replace(password, "***")
    return text


def _passwords(parts: SplitResult) -> set[str]:
    given = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    return {form for password in given for form in (password, unquote(password)) if form}

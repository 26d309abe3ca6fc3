"""The server over stdio, or over HTTP on this machine with a token."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import anyio
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl

from videopath.app.mcp.calls import ModelCalls
from videopath.app.mcp.server import make_server
from videopath.core.errors import InputError
from videopath.core.log import JsonLine, shows_json

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from videopath.app.mcp.service import TissueService

TOKEN_VARIABLE = "VIDEOPATH_MCP_TOKEN"
"""The environment variable that holds the token of the HTTP server."""
HOST = "127.0.0.1"
_LEAST_TOKEN = 16  # characters
_GRACE = 5  # seconds that open answers have when the server is stopped


class OneToken:
    """Accepts one token, compared in constant time."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return who holds a token; None if it is not the server's."""
        if not hmac.compare_digest(token.encode(), self._token):
            return None
        return AccessToken(token=token, client_id="videopath", scopes=[])


def serve_stdio(service: TissueService) -> None:
    """Serve one client over stdin and stdout until it leaves. stdout carries nothing but the protocol."""
    _log_to_stderr()
    anyio.run(make_server(service, ModelCalls()).run_stdio_async)


def serve_http(service: TissueService, port: int, token: str) -> None:
    """Serve clients of this machine that have the token, until the process is interrupted."""
    import uvicorn

    _log_to_stderr()
    calls = ModelCalls()

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            calls.end()
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # no traceback of each open answer
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        http_app(service, calls, port, token),
        host=HOST,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
    )
    Server(config).run()


def http_app(service: TissueService, calls: ModelCalls, port: int, token: str) -> Starlette:
    """Return the HTTP server as an application: at ``/mcp``, for requests with the token and from this machine's pages."""
    address = AnyHttpUrl(f"http://{HOST}:{port}")
    auth = AuthSettings(issuer_url=address, resource_server_url=None)
    server = make_server(service, calls, auth=auth, token_verifier=OneToken(token))
    names = (HOST, "localhost")
    return server.streamable_http_app(
        host=HOST,
        transport_security=TransportSecuritySettings(
            allowed_hosts=[f"{name}:{port}" for name in names],
            allowed_origins=[f"http://{name}:{port}" for name in names],
        ),
    )


def read_token(file: Path | None) -> tuple[str, bool]:
    """Return the token of the HTTP server, and whether it was made now.

    It is in the file, in the variable ``VIDEOPATH_MCP_TOKEN``, or made.

    Raises:
        InputError: The file cannot be read, or the token is too short or has spaces.
    """
    if file is not None:
        try:
            token = file.expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise InputError(f"The token file {file} cannot be read: {reason}.") from error
        where = f"in {file}"
    else:
        token, where = os.environ.get(TOKEN_VARIABLE, "").strip(), f"in {TOKEN_VARIABLE}"
        if not token:
            return secrets.token_urlsafe(32), True
    if len(token) < _LEAST_TOKEN or not token.isascii() or any(c.isspace() for c in token):
        raise InputError(
            f"The token {where} cannot be used: give at least {_LEAST_TOKEN} ASCII characters without spaces."
        )
    return token, False


def _log_to_stderr() -> None:
    """Show what the libraries warn of on stderr; VideoPath's own log is shown by the command line."""
    logging.getLogger().addHandler(logging.NullHandler())  # else the library would show every line twice
    for name in ("mcp", "uvicorn"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        handler = logging.StreamHandler(sys.stderr)
        if shows_json():
            handler.setFormatter(JsonLine())
        logger.addHandler(handler)

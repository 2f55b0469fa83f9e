"""The console: its files, which ``make console`` has built, beside the API whose client it is (ADR 136)."""

import asyncio
import gzip
import html
import json
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Final

from vosd.api.http import Answer, Receive, RequestError, Scope, Send, send_answer
from vosd.api.problems import problem_of_request
from vosd.engine.settings import BrandSettings

FILES: Final = Path(__file__).with_name("console_files")
"""Directory that the build fills; missing = the console is not built."""
PLAIN: Final = BrandSettings()
"""The console's own name and looks."""
_PAGE: Final = "index.html"
_NONCE: Final = b"STYLE_NONCE"
"""Word in the page for the number of each answer; ``console/vite.config.ts`` names it."""
_BRAND: Final = b"BRAND_OF_OPERATOR"
"""Word in the page for name and looks; ``console/index.html`` has it."""
_LOGO: Final = "brand/logo"
_LOGO_KINDS: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
_LOGO_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Lets nothing run in an SVG file that is opened by itself."""
_HASHED: Final = "assets/"
"""Files below it have a digest of their content in their names."""
_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_API: Final = "/api/"

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Console:
    """Answers what is not below ``/api/`` with the console: a file of it, else its one page, which reads the path."""

    def __init__(self, api: Application, brand: BrandSettings = PLAIN, files: Path = FILES) -> None:
        """Read the files, which an upgrade may replace, and the logo of the brand; one that is gone is left out."""
        self._api = api
        self._logo = _logo_of(brand)
        shown = {"name": brand.name, "colour": brand.colour, "logo": self._logo is not None, "pay_in": brand.pay_in}
        self._brand = html.escape(json.dumps(shown)).encode()
        kept = [path for path in files.rglob("*") if path.suffix in _KINDS]
        self._files = {path.relative_to(files).as_posix(): path.read_bytes() for path in kept}
        self._packed = dict[str, bytes]()
        """Files that were asked for, compressed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        path: str = scope["path"]
        if path.startswith(_API):
            await self._api(scope, receive, send)
            return
        asked = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            answer = await self._answered(
                scope["method"], path.removeprefix("/"), packs="gzip" in asked.get("accept-encoding", "")
            )
        except RequestError as error:
            answer = problem_of_request(error)
        await send_answer(send, receive, answer, {}, method=scope["method"])

    async def _answered(self, method: str, name: str, *, packs: bool) -> Answer:
        if method not in {"GET", "HEAD"}:
            raise RequestError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "there are GET, HEAD",
                headers=(("Allow", "GET, HEAD"),),
            )
        if _PAGE not in self._files:
            said = "the console is not built"
            raise RequestError(
                HTTPStatus.NOT_FOUND, "no_console", said, remedy="run make console, then start the API again"
            )
        if name == _LOGO and self._logo is not None:
            return self._logo
        found = self._files.get(name)
        # names of accounts and gateways may have a dot: below a view it makes no file
        if found is None and (name.startswith(_HASHED) or ("." in name and "/" not in name)):
            raise RequestError(HTTPStatus.NOT_FOUND, "no_such_path", "there is no such file of the console")
        if found is None or name == _PAGE:
            return _page(self._files[_PAGE], self._brand)
        lasts = "public, max-age=31536000, immutable" if name.startswith(_HASHED) else "public, max-age=3600"
        headers = (("Cache-Control", lasts), ("Vary", "Accept-Encoding"))
        kind = _KINDS[PurePosixPath(name).suffix]
        if not packs:
            return Answer(content=found, content_type=kind, headers=headers)
        if name not in self._packed:
            self._packed[name] = await asyncio.to_thread(gzip.compress, found, mtime=0)
        return Answer(content=self._packed[name], content_type=kind, headers=(*headers, ("Content-Encoding", "gzip")))


def _logo_of(brand: BrandSettings) -> Answer | None:
    if brand.logo_file is None:
        return None
    file = Path(brand.logo_file)
    try:
        content = file.read_bytes()
    except OSError:
        return None
    headers = (("Cache-Control", "public, max-age=3600"), ("Content-Security-Policy", _LOGO_POLICY))
    return Answer(content=content, content_type=_LOGO_KINDS[file.suffix.lower()], headers=headers)


def _page(page: bytes, brand: bytes) -> Answer:
    """Return the page with a policy for this answer alone: scripts and styles of this host, nothing inline.

    The library of components writes style elements; the number lets those in that its own script makes.
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (("Content-Security-Policy", policy), ("Cross-Origin-Opener-Policy", "same-origin"))
    content = page.replace(_NONCE, nonce.encode()).replace(_BRAND, brand)
    return Answer(content=content, content_type=_KINDS[".html"], headers=headers)

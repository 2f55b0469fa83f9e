"""Files of the console: which are served, how long they last, what is refused, and what the page lets in."""

import gzip
import html
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vosd.api.console import Console
from vosd.engine.settings import BrandSettings

PAGE = '<html><meta property="csp-nonce" nonce="STYLE_NONCE"></html>'


async def api(_scope, _receive, send) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"api"})


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes


async def answered(console: Console, method: str, path: str, headers: dict[str, str] | None = None) -> Reply:
    given = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": given}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await console(scope, receive, send)
    named = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], named, b"".join(each.get("body", b"") for each in sent[1:]))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "assets/index-1a2b.js").write_text("go()")
    (tmp_path / "secret.txt").write_text("x")
    return tmp_path


@pytest.mark.parametrize("path", ["/", "/index.html", "/cdrs", "/accounts/acme", "/gateways/a.example", "/lists/audit"])
async def test_every_view_is_the_page_with_a_number_of_its_own(files, path):
    console = Console(api, files=files)
    numbers = set()
    for _ in range(2):
        reply = await answered(console, "GET", path)
        assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
        policy = reply.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        (number,) = re.findall(r"'nonce-([\w-]+)'", policy)
        assert reply.content.decode() == PAGE.replace("STYLE_NONCE", number)
        numbers.add(number)
    assert len(numbers) == 2


async def test_a_file_with_a_digest_in_its_name_lasts_and_is_packed_where_that_is_taken(files):
    console = Console(api, files=files)
    plain = await answered(console, "GET", "/assets/index-1a2b.js")
    packed = await answered(console, "GET", "/assets/index-1a2b.js", headers={"Accept-Encoding": "gzip"})
    assert plain.content == gzip.decompress(packed.content) == b"go()"
    head = await answered(console, "HEAD", "/assets/index-1a2b.js")
    assert (head.status, head.headers, head.content) == (200, plain.headers, b"")
    assert packed.headers["content-encoding"] == "gzip"
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/secret.txt", "/assets/none.js", "/assets/../secret.txt", "/..%2fsecret.txt", "/x.js", "/.env"]
)
async def test_other_files_are_not_there(files, path):
    assert (await answered(Console(api, files=files), "GET", path)).status == 404


async def test_an_upgrade_replaces_no_file_under_a_process_that_runs(files):
    console = Console(api, files=files)
    (files / "assets/index-1a2b.js").unlink()
    (files / "index.html").write_text("the page of another version")
    assert (await answered(console, "GET", "/assets/index-1a2b.js")).content == b"go()"
    assert b"csp-nonce" in (await answered(console, "GET", "/")).content


async def test_nothing_can_be_sent_to_it_and_the_api_has_its_own_paths(files, tmp_path_factory):
    assert (await answered(Console(api, files=files), "POST", "/cdrs")).status == 405
    assert (await answered(Console(api, files=files), "POST", "/api/v1/cdrs")).status == 418
    not_built = await answered(Console(api, files=tmp_path_factory.mktemp("empty")), "GET", "/")
    assert (not_built.status, b"make console" in not_built.content) == (404, True)


async def test_the_page_has_the_name_and_looks_of_the_operator_as_text(files, tmp_path):
    (files / "index.html").write_text('<meta name="brand" content="BRAND_OF_OPERATOR">')
    (tmp_path / "logo.svg").write_text("<svg><script>alert(1)</script></svg>")
    brand = BrandSettings('A & B "<script>', "#1864ab", str(tmp_path / "logo.svg"), ("IBAN 1", "reference {account}"))
    console = Console(api, brand, files)
    page = (await answered(console, "GET", "/")).content.decode()
    (content,) = re.findall('^<meta name="brand" content="([^"<>]*)">$', page)
    shown = {"name": 'A & B "<script>', "colour": "#1864ab", "logo": True, "pay_in": ["IBAN 1", "reference {account}"]}
    assert json.loads(html.unescape(content)) == shown
    logo = await answered(console, "GET", "/brand/logo")
    assert (logo.status, logo.headers["content-type"]) == (200, "image/svg+xml")
    assert "sandbox" in logo.headers["content-security-policy"]
    assert "default-src 'none'" in logo.headers["content-security-policy"]
    (tmp_path / "logo.svg").unlink()
    assert '"logo": false' in html.unescape((await answered(Console(api, brand, files), "GET", "/")).content.decode())
    assert (await answered(Console(api, files=files), "GET", "/brand/logo")).content != logo.content

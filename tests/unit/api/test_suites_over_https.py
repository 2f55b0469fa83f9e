"""HTTPS of the API as a scanner of servers judges it: which suites a client may choose."""

import asyncio
from typing import Any

from doubles.certificates import Authority

from vosd.api.access_log import AccessLog
from vosd.api.server import ApiServer
from vosd.engine.settings import AccessLogLines, ApiSettings, HttpListener


async def nothing(*_: Any) -> None:
    pass


async def test_what_is_recorded_today_cannot_be_read_with_a_key_that_is_stolen_later(tmp_path):
    shown = Authority(tmp_path).issue("console", "127.0.0.1")
    settings = ApiSettings(HttpListener("127.0.0.1", 0), certificate=str(shown.file), key=str(shown.key))
    access_log = AccessLog(AccessLogLines.NONE, asyncio.get_running_loop().call_later)
    server = ApiServer(nothing, settings, lambda: None, access_log, takes_signals=False)

    server.config.load()

    assert server.config.ssl is not None
    suites: list[dict[str, Any]] = [dict(each) for each in server.config.ssl.get_ciphers()]
    assert {each["protocol"] for each in suites} == {"TLSv1.2", "TLSv1.3"}
    assert {each["kea"] for each in suites} == {"kx-ecdhe", "kx-any"}  # "any" is of TLS 1.3: always ephemeral
    assert all(each["aead"] for each in suites)

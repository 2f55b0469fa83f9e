"""The hosts of the identity provider: keys and tokens may be elsewhere than the metadata."""

import asyncio
from types import SimpleNamespace

import pytest
from doubles.silent_names import SilentNames

from vosd.api import provider as module
from vosd.api.provider import Provider, ProviderUnavailableError


async def test_what_the_provider_says_in_another_encoding_is_no_answer(monkeypatch):
    async def answer(*_):
        return b'{"issuer": "\xfc"}'

    provider, settings = Provider(), SimpleNamespace(issuer="https://id.example")
    monkeypatch.setattr(provider, "_ask", answer)
    with pytest.raises(ProviderUnavailableError, match="cannot be read"):
        await provider.metadata(settings)


async def test_a_name_that_is_not_found_holds_up_no_other_host(monkeypatch):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    resolver, provider = SilentNames(monkeypatch), Provider()
    resolver.dead = {"tokens.example"}
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            for _ in range(3):
                monkeypatch.setattr(module, "TIMEOUT_S", 0.02)
                with pytest.raises(ProviderUnavailableError, match="TimeoutError"):
                    await provider._ask("POST", f"http://tokens.example:{port}/", b"code=1")
            monkeypatch.setattr(module, "TIMEOUT_S", 20.0)
            assert await provider._ask("GET", f"http://keys.example:{port}/") == b"{}"
            assert resolver.asked == {"tokens.example": 1, "keys.example": 1}
        finally:
            resolver.released.set()

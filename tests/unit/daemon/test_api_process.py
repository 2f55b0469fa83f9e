"""The process of the management API beside the switch: started again when it ends, less and less often."""

import asyncio
import os
import signal
import socket
from contextlib import suppress

import structlog
from doubles.forked_child import ForkedChildren
from e2e.conditions import a_moment

from vosd.base.secret import Secret
from vosd.daemon import api_process, kept_process
from vosd.daemon.api_process import ApiProcess
from vosd.engine.settings import ApiSettings, HttpListener


async def answers(listen: HttpListener) -> None:
    """Ask until there is an answer."""
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(*listen)
                writer.write(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                found = await reader.read()
                writer.close()
                if found.startswith(b"HTTP/1.1 200 "):
                    return
            await a_moment()


async def test_a_process_that_was_killed_is_started_again_and_ends_with_the_switch(tmp_path, monkeypatch):
    processes = ForkedChildren()
    monkeypatch.setattr(api_process, "started", processes.started)
    monkeypatch.setattr(kept_process, "RETRY_S", 0.01)
    with socket.socket() as probe:
        probe.bind(("127.0.0.8", 0))
        listen = HttpListener("127.0.0.8", probe.getsockname()[1])
    config = tmp_path / "vosd.yaml"
    config.write_text(f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\n")
    process = ApiProcess(config, None)
    await process.begin()
    try:
        assert processes.running() == []
        replica = Secret(f"sqlite+aiosqlite:///{tmp_path}/copy.db")
        await process.adjust(ApiSettings(listen, replica=replica))
        with structlog.testing.capture_logs() as logs:
            await answers(listen)
            for _ in range(2):
                (child,) = processes.running()
                os.kill(child, signal.SIGKILL)
                while child in processes.running():
                    await a_moment()
                await answers(listen)
        assert [(each["event"], each["in_s"]) for each in logs] == [
            ("api_process_ended", 0.01),
            ("api_process_ended", 0.02),
        ]
    finally:
        await process.end()
    assert processes.running() == []

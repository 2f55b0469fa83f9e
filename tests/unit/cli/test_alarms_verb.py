"""``vosd alarms`` beside a running switch."""

import asyncio
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from vosd.cli.main import main
from vosd.engine.control import Arguments, ControlServer

ALARM = {
    "alarm": "gateway_down",
    "subject": "carrier-a",
    "level": "warning",
    "since": "2026-07-01T10:00:00.000Z",
    "last": "2026-07-01T10:05:00.000Z",
    "count": 3,
    "text": "why: silence",
    "cleared_at": None,
}


async def test_alarms_are_listed_with_those_that_were_left_out(tmp_path: Path) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text(f"control_socket: {tmp_path / 'vosd.sock'}\n")
    answer: dict[str, Any] = {"alarms": [], "left_out": 0}
    asked: list[Arguments] = []

    async def alarms(arguments: Arguments) -> object:
        asked.append(arguments)
        return answer

    async def vosd(*words: str) -> tuple[str, str]:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["-c", str(config), "alarms", *words])
        assert result.exit_code == 0, result.output
        return result.stdout, result.stderr

    server = ControlServer(tmp_path / "vosd.sock", {"alarms": alarms})
    await server.open()
    assert await vosd() == ("there is no alarm\n", "")
    answer |= {"alarms": [ALARM], "left_out": 7}
    assert json.loads((await vosd("--json"))[0]) == answer
    shown, remark = await vosd("--history")
    assert "carrier-a" in shown
    assert "7 reports were not kept" in remark
    await server.close()
    assert asked == [{"history": False}, {"history": False}, {"history": True}]

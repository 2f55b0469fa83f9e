"""``vosd alarms`` beside a running switch."""

import asyncio
import json
from pathlib import Path

import msgspec
from click.testing import CliRunner
from doubles.fake_switch import FakeSwitch

from vosd.cli.main import main
from vosd.control.installation import AlarmList, AlarmRow, ListAlarms

ALARM = AlarmRow(
    alarm="gateway_down",
    subject="carrier-a",
    level="warning",
    since="2026-07-01T10:00:00.000Z",
    last="2026-07-01T10:05:00.000Z",
    count=3,
    text="why: silence",
    do="look at the vendor",
    cleared_at=None,
)


async def test_alarms_are_listed_with_those_that_were_left_out(tmp_path: Path) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text(f"control_socket: {tmp_path / 'vosd.sock'}\n")

    async def vosd(*words: str) -> tuple[str, str]:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["-c", str(config), "alarms", *words])
        assert result.exit_code == 0, result.output
        return result.stdout, result.stderr

    async with FakeSwitch(tmp_path / "vosd.sock").answers(ListAlarms, AlarmList([], 0)) as switch:
        assert await vosd() == ("there is no alarm\n", "")
        switch.answers(ListAlarms, AlarmList([ALARM], 7))
        document, remark = await vosd("--json")
        assert json.loads(document) == [msgspec.structs.asdict(ALARM)]
        assert "7 reports were not kept" in remark
        table, remark = await vosd("--history")
    assert "carrier-a" in table
    assert "7 reports were not kept" in remark
    assert switch.asked == [ListAlarms(), ListAlarms(), ListAlarms(history=True)]

"""``vosd alarms`` beside a running switch."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from doubles.fake_switch import FakeSwitch

from vosd.cli.main import main
from vosd.control.installation import AlarmList, AlarmRow, ConfirmAlarm, ConfirmedAlarm, ListAlarms

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


def lost_at(moment: str) -> AlarmRow:
    return msgspec.structs.replace(ALARM, alarm="payments_lost", subject=moment)


@pytest.mark.parametrize(
    ("held", "options", "subject", "said"),
    [
        (["moment-1"], [], "moment-1", "payments_lost moment-1 is confirmed\n"),
        (["moment-1", "moment-2"], ["--subject", "moment-2"], "moment-2", "payments_lost moment-2 is confirmed\n"),
        (["moment-1", ""], ["--subject", ""], "", "payments_lost is confirmed\n"),
        ([], [], "", "no alarm payments_lost holds; vosd alarms lists those that do\n"),
        (
            ["moment-1"],
            ["--subject", ""],
            "",
            "no alarm payments_lost with the subject '' holds; give one of 'moment-1'\n",
        ),
        (
            [f"moment-{number}" for number in range(12)],
            [],
            None,
            "--subject is needed where several alarms payments_lost hold: give one of "
            + ", ".join(f"'moment-{number}'" for number in range(10))
            + ", …\n",
        ),
    ],
)
async def test_the_only_alarm_of_a_name_is_confirmed_without_its_subject(
    tmp_path: Path, held: list[str], options: list[str], subject: str | None, said: str
) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text(f"control_socket: {tmp_path / 'vosd.sock'}\n")
    rows = [*map(lost_at, held), ALARM]

    def confirmed(order: ConfirmAlarm) -> ConfirmedAlarm:
        return ConfirmedAlarm(next((each for each in rows[:-1] if each.subject == order.subject), None))

    words = ["alarms", "--confirm", "payments_lost", *options, "-c", str(config)]
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(ListAlarms, AlarmList(rows, 0)).answers(ConfirmAlarm, confirmed)
    async with switch:
        result: Result = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert said in " ".join(result.output.split()) + "\n"
    assert [each.subject for each in switch.asked if isinstance(each, ConfirmAlarm)] == (
        [] if subject is None else [subject]
    )

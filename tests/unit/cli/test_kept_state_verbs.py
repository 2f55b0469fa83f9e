"""Lists of what a switch has left in its state directory, and changes of it, while none runs."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from vosd.cli.main import main
from vosd.config.places import installation_of
from vosd.daemon.claim import StateDirectory
from vosd.engine.alarms.desk import AlarmFile, KeptDesk
from vosd.engine.reports.report import CallReport
from vosd.engine.reports.spool import ReportSpool
from vosd.engine.state_files import KeptListing, blacklist_file
from vosd.obs.alarms import Alarm, KeptAlarms, Level
from vosd.obs.events import Event
from vosd.routing.dynamic_lists import ListingCause

WRITTEN_S = 1_790_000_000
WRITTEN = "2026-09-21T14:13:20.000Z"
NEVER = 4_000_000_000_000
FOR_EVER = 400_000_000_000_000
"""The year 14645."""
DOWN = Alarm(Event.GATEWAY_DOWN, "carrier-a", Level.CRITICAL, 1_000, 2_000, 3, "code: 503")


def verb(directory: Path, *words: str) -> Result:
    config = directory / "vosd.yaml"
    config.write_text(
        f"state_dir: {directory}/var\ncontrol_socket: {directory}/vosd.sock\n"
        'webhooks: [{name: crm, url: "https://crm.example/events", types: [call.ended]}]\n'
        "reports: [{name: night, report: revenue, every: day, directory: /reports}]\n"
    )
    return CliRunner().invoke(main, [*words, "-c", str(config)])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give the state directory of a switch that has stopped."""
    state = tmp_path / "var"
    state.mkdir()
    cleared = Alarm(Event.GATEWAY_DOWN, "carrier-b", Level.CRITICAL, 1_000, 2_000, 1, "", cleared_at=3_000)
    AlarmFile(state / "alarms.json").write(KeptDesk(KeptAlarms((DOWN,), (cleared,), ())))
    past, there = (
        KeptListing("acme", each, ListingCause.FREQUENCY, 9, 0, until) for each, until in (("1", 1), ("2", NEVER))
    )
    blacklist_file(state).write([past, there])
    letters = ReportSpool(state / "webhooks" / "crm" / "dead", receiver="crm")
    letters.open()
    first, second = (CallReport(number, "status-410", 0, b'{"type":"call.ended"}') for number in (1, 2))
    letters.add(first)
    letters.add(second)
    letters.done(first)
    letters.tidy()
    letters.close()
    (state / "reports.json").write_text('{"night": 1000}')
    for path in (
        state / "alarms.json",
        state / "reports.json",
        state / "blacklist.json",
        state / "webhooks" / "crm" / "dead",
    ):
        os.utime(path, (WRITTEN_S, WRITTEN_S))
    return state


@pytest.mark.parametrize(
    ("words", "key", "values"),
    [
        (("alarms",), "subject", ["carrier-a"]),
        (("alarms", "--history"), "subject", ["carrier-b"]),
        (("blacklist", "list"), "caller", ["2"]),
        (("webhooks", "list"), "number", [2]),
        (("report", "scheduled"), "done_until", ["1970-01-01T00:00:01.000Z"]),
        (("webhooks", "list", "crm"), "number", [2]),
    ],
)
def test_what_a_switch_has_left_is_listed_with_its_time(
    state: Path, words: tuple[str, ...], key: str, values: list[object]
) -> None:
    files = sorted(state.rglob("*"))
    listed = verb(state.parent, *words, "--json")
    assert [each[key] for each in json.loads(listed.stdout)] == values
    assert listed.stderr == f"no switch runs: this is the state that it left, written at {WRITTEN}\n"
    assert (listed.exit_code, sorted(state.rglob("*"))) == (0, files)


@pytest.mark.parametrize("time", [FOR_EVER, -1])
@pytest.mark.parametrize(
    ("file", "words"), [("blacklist.json", ("blacklist", "list")), ("reports.json", ("report", "scheduled"))]
)
def test_a_file_in_which_someone_has_written_a_time_that_is_no_date_is_refused_with_the_place(
    state: Path, time: int, file: str, words: tuple[str, ...]
) -> None:
    path = state / file
    path.write_text(path.read_text().replace(str(NEVER), str(time)).replace("1000", str(time)))
    listed = verb(state.parent, *words)
    assert (listed.exit_code, "Expected `int`" in listed.stderr, "$[" in listed.stderr) == (4, True, True)


@pytest.mark.parametrize("time", [FOR_EVER, -1])
def test_an_alarm_or_a_report_whose_time_is_no_date_is_left_out_and_the_others_are_listed(
    state: Path, time: int
) -> None:
    alarms = json.loads((state / "alarms.json").read_bytes())
    alarms["active"].append(alarms["active"][0] | {"subject": "carrier-c", "since": time})
    (state / "alarms.json").write_text(json.dumps(alarms))
    assert [each["subject"] for each in json.loads(verb(state.parent, "alarms", "--json").stdout)] == ["carrier-a"]
    (state / "webhooks" / "crm" / "dead" / "reports-00000009.log").write_text(f'R 7 {time} a {{"type":"call.ended"}}\n')
    assert [each["number"] for each in json.loads(verb(state.parent, "webhooks", "list", "--json").stdout)] == [2]


@pytest.mark.parametrize(("number", "left"), [("+2", ["1"]), (None, [])])
def test_the_blacklist_of_the_next_start_is_cleared(state: Path, number: str | None, left: list[str]) -> None:
    words = () if number is None else (number,)
    cleared = verb(state.parent, "blacklist", "clear", *words, "--json")
    found = {"number": number and number.lstrip("+"), "cleared": 1}
    assert cleared.exit_code == 0, cleared.output
    assert json.loads(cleared.stdout) == found
    assert "no switch runs: this is the state that it left" in cleared.stderr
    assert [each.caller for each in blacklist_file(state).load() or []] == left
    again = verb(state.parent, "blacklist", "clear", "2")
    assert (again.exit_code, "2 is not on the list" in again.stderr) == (1, True)


def test_the_blacklist_of_a_switch_that_starts_meanwhile_stays(state: Path) -> None:
    switch = StateDirectory(state)
    switch.claim()
    refused = verb(state.parent, "blacklist", "clear")
    switch.release()
    assert (refused.exit_code, "another switch" in refused.stderr) == (1, True)
    assert len(blacklist_file(state).load() or []) == 2


@pytest.mark.parametrize("words", [("alarms",), ("blacklist", "list"), ("webhooks", "list")])
def test_where_none_has_left_anything_the_list_is_empty(tmp_path: Path, words: tuple[str, ...]) -> None:
    listed = verb(tmp_path, *words, "--json")
    assert (listed.exit_code, listed.stdout) == (0, "[]\n")
    assert listed.stderr == "no switch runs, and none has left such a state\n"
    assert not (tmp_path / "var").exists()


def test_an_installation_that_is_not_found_has_no_empty_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    config = tmp_path / "etc" / "vosd.yaml"
    config.write_text("state_dir: var\ncontrol_socket: vosd.sock\n")
    monkeypatch.chdir(tmp_path)
    listed = CliRunner().invoke(main, ["alarms", "--json", "-c", str(config)])
    assert (listed.exit_code, listed.stdout) == (4, "")
    assert "control_socket is relative to the directory in which the switch was started" in listed.stderr


def test_a_switch_that_starts_is_named_in_place_of_advice_about_its_socket(tmp_path: Path) -> None:
    config = tmp_path / "vosd.yaml"
    state = StateDirectory(tmp_path / "var", installation_of(config, "sw1", tmp_path / "vosd.sock"))
    config.write_text(f"state_dir: {state.path}\ncontrol_socket: vosd.sock\n")
    state.claim()
    started = CliRunner().invoke(main, ["status", "-c", str(config)])
    state.release()
    ended = CliRunner().invoke(main, ["status", "-c", str(config)])
    assert (started.exit_code, ended.exit_code) == (4, 4)
    said = " ".join(started.stderr.split())
    assert f"the switch (pid {os.getpid()}) does not listen at" in said
    assert "it starts or stops, or that socket was removed" in said
    assert "control_socket was changed" in said
    assert "relative" not in started.stderr
    assert "is it started on this configuration" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(("words", "file"), [(("alarms",), "alarms.json"), (("blacklist", "list"), "blacklist.json")])
def test_a_file_that_cannot_be_read_is_no_empty_list(state: Path, words: tuple[str, ...], file: str) -> None:
    (state / file).write_text("{")
    with capture_logs() as log:
        listed = verb(state.parent, *words, "--json")
    assert (listed.exit_code, listed.stdout, log) == (4, "", [])
    assert "the state that it left in" in listed.stderr


@pytest.mark.parametrize("words", [("unblock", "--list"), ("gateway", "list"), ("status", "--gateways")])
def test_what_is_in_memory_alone_needs_a_switch(state: Path, words: tuple[str, ...]) -> None:
    listed = verb(state.parent, *words, "--json")
    assert (listed.exit_code, listed.stdout) == (4, "")
    assert "is in the memory of a running switch alone" in listed.stderr


def test_an_unknown_receiver_is_refused(state: Path) -> None:
    refused = verb(state.parent, "webhooks", "list", "erp")
    assert (refused.exit_code, "there are crm" in refused.stderr) == (1, True)

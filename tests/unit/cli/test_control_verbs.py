"""Verbs that talk to the running switch, against a control socket of the test's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from doubles.fake_switch import FakeSwitch
from msgspec.structs import replace

from vosd.cli.main import main
from vosd.control.calls import CallSelection, CallSnapshot, Hangup, HangupOutcome, ListCalls
from vosd.control.installation import (
    CatalogueState,
    DatabaseReport,
    GetStatus,
    MachineUse,
    Reload,
    ReloadOutcome,
    Restart,
    Successor,
    SwitchStatus,
)
from vosd.control.peers import (
    BlacklistedCaller,
    ClearBlacklist,
    ClearedCallers,
    GatewayRow,
    InboundRow,
    ListBlacklist,
    ListGateways,
    ListLockedOut,
    ListRegistrations,
    OutboundRow,
    SilencedSource,
    Unblock,
    UnblockOutcome,
)
from vosd.control.server import CommandError

CATALOGUE = CatalogueState(version="abc", loaded_at="2026-03-01T12:00:00.000Z", error=None)
DATABASE = DatabaseReport(state="well", lease="node sw1 on host a, pid 5", regressed_at=None, booked_again=0)
STATUS = SwitchStatus(
    version="0.1.0",
    node="sw1",
    id="f00",
    configuration="/etc/vosd/vosd.yaml",
    pid=5,
    started_at="2026-03-01T12:00:00.000Z",
    figures={"calls": 2},
    session_refresh_failed={"carrier-a": 3, "1001": 1},
    machine=MachineUse(cpu_percent=7.5),
    database=DATABASE,
    catalogue=CATALOGUE,
)
CALL = CallSnapshot(
    call_id="c1",
    state="talking",
    mapping_gateway="a-customer-with-a-long-name",
    routing_gateway="a-vendor-with-a-long-name",
    customer_account="acme",
    vendor_account="carrier",
    caller="+493012345678",
    callee="442079460123",
    started_at="2026-03-01T12:00:00.000Z",
    answered_at="2026-03-01T12:00:05.000Z",
    age_s=3605,
    talk_s=3600,
)
CALLS = [CALL, replace(CALL, call_id="c2")]


class Switch(FakeSwitch):
    """A switch beside which verbs run."""

    def __init__(self, config: Path) -> None:
        super().__init__(config.parent / "vosd.sock")
        self.config = config
        self.fitting = 1
        self.answers(GetStatus, STATUS).answers(ListCalls, CALLS).answers(Hangup, self._hangup)
        self.answers(ListRegistrations, []).answers(ListGateways, []).answers(ListLockedOut, [])
        self.answers(ListBlacklist, []).answers(ClearBlacklist, self._clear).answers(Unblock, self._unblock)
        self.answers(Restart, Successor(5)).answers(
            Reload, ReloadOutcome("def", ["vosd.yaml:1: warning: node: expected no change"])
        )

    def _hangup(self, order: Hangup) -> HangupOutcome:
        ended = self.fitting if order.at_most is None or self.fitting <= order.at_most else 0
        return HangupOutcome(self.fitting, ended)

    def _unblock(self, order: Unblock) -> UnblockOutcome:
        return UnblockOutcome(order.address, order.address == "203.0.113.66")

    def _clear(self, order: ClearBlacklist) -> ClearedCallers:
        return ClearedCallers(order.number, 2 if order.number in {None, "1001"} else 0)

    async def vosd(self, *words: str) -> Result:
        """Run the command line on this switch's configuration, beside the switch."""
        return await asyncio.to_thread(CliRunner().invoke, main, ["-c", str(self.config), *words])


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[Switch]:
    config = tmp_path / "vosd.yaml"
    # Only the path of the socket has to be valid: an unfinished edit must not prevent ending calls.
    config.write_text(f"control_socket: {tmp_path / 'vosd.sock'}\naccounts: half an edit\n")
    async with Switch(config) as switch:
        yield switch


def builtins(thing: object) -> Any:
    """Return a struct as JSON has it."""
    return json.loads(msgspec.json.encode(thing))


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_status_prints_one_document(switch: Switch) -> None:
    shown = document(await switch.vosd("status", "--json"))
    own = {name: value for name, value in builtins(STATUS).items() if name != "figures"}
    assert shown == {**own, "calls": 2}


async def test_status_for_people_names_the_catalogue_and_the_last_reload(switch: Switch) -> None:
    shown = (await switch.vosd("status")).stdout
    assert "abc, loaded 2026-03-01T12:00:00.000Z" in shown
    assert "fine" in shown
    assert "carrier-a 3, 1001 1" in shown


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("well", "well; lost commits noticed 2026-01-01T00:00:00.000Z, 3 calls booked again since"),
        ("away", "away: calls wait in the journal"),
        ("regressed", "regressed: it has lost commits and is compared with the journal, new calls are refused"),
        ("lease_lost", "lease_lost: in use by node sw1 on host b, pid 7, new calls are refused"),
    ],
)
async def test_status_for_people_shows_the_state_of_the_database(switch: Switch, state: str, said: str) -> None:
    noticed = {"regressed_at": "2026-01-01T00:00:00.000Z", "booked_again": 3}
    database = DatabaseReport(state=state, lease="node sw1 on host b, pid 7", **noticed)
    switch.answers(GetStatus, replace(STATUS, database=database))
    shown = " ".join((await switch.vosd("status")).stdout.split())
    assert said in shown


async def test_status_for_people_gives_every_reason_of_a_refused_reload_a_line_of_its_own(switch: Switch) -> None:
    refused = replace(CATALOGUE, error="vosd.yaml:3: bad\nvosd.yaml:7: worse")
    switch.answers(GetStatus, replace(STATUS, catalogue=refused))
    assert (await switch.vosd("status")).stdout.splitlines()[-2:] == ["vosd.yaml:3: bad", "vosd.yaml:7: worse"]


async def test_every_gateway_is_shown_with_its_state_its_calls_and_its_figures(switch: Switch, monkeypatch) -> None:
    up = GatewayRow(
        gateway="carrier-a",
        kind="routing",
        state="up",
        blocked=None,
        since_s=None,
        rest_s=None,
        calls=17,
        max_concurrent=200,
        attempts=120,
        answered=51,
        asr=42.5,
        acd_s=181.3,
        pdd_ms=1450,
        cost="0.0125",
        currency="USD",
    )
    idle = replace(up, calls=0, max_concurrent=None, pdd_ms=None)
    rows = [
        up,
        replace(idle, gateway="b", state="down", since_s=61),
        replace(idle, gateway="c", state="resting", rest_s=9, rest="it asked for it"),
        replace(idle, gateway="d", state="blocked", blocked="by ann: no audio"),
    ]
    switch.answers(ListGateways, rows)
    assert document(await switch.vosd("status", "--gateways", "--json")) == builtins(rows)
    monkeypatch.setenv("COLUMNS", "80")
    result = await switch.vosd("status", "--gateways")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    figures = ["120", "42.5", "181.3", "1450", "0.0125", "USD"]
    assert lines[1].split() == ["carrier-a", "routing", "up", "17/200", *figures]
    assert "down for 61 s" in lines[2]
    assert "resting, 9 s left" in lines[3]
    assert "d is blocked by ann: no audio" in result.stderr
    assert "c rests: it asked for it" in result.stderr
    assert "since the switch was started" in result.stderr


async def test_the_configuration_may_be_named_after_the_verb_and_by_the_environment(switch: Switch) -> None:
    after = await asyncio.to_thread(CliRunner().invoke, main, ["calls", "--json", "-c", str(switch.config)])
    environ = {"VOSD_CONFIG": str(switch.config)}
    named = await asyncio.to_thread(CliRunner(env=environ).invoke, main, ["calls", "--json"])
    assert document(after) == document(named) == builtins(CALLS)


async def test_calls_for_people_are_a_table(switch: Switch, monkeypatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = (await switch.vosd("calls")).stdout.splitlines()
    cells = [line.split() for line in lines]
    assert cells[0] == [*CallSnapshot.__struct_fields__]
    assert [row[0] for row in cells[1:]] == ["c1", "c2"]


async def test_calls_of_accounts_below_an_agent_are_listed_directly_or_at_any_depth(switch: Switch) -> None:
    accounts = "[{id: top}, {id: mid, agent: top}, {id: acme, agent: mid}, {id: other}]"
    switch.config.write_text(f"control_socket: {switch.config.parent / 'vosd.sock'}\naccounts: {accounts}\n")
    switch.answers(ListCalls, [CALL, replace(CALL, call_id="c2", customer_account="other")])
    for words, ids in (
        (["--agent", "mid"], ["c1"]),
        (["--agent", "top"], []),
        (["--agent", "top", "--all"], ["c1"]),
        ([], ["c1", "c2"]),
    ):
        assert [each["call_id"] for each in document(await switch.vosd("calls", *words, "--json"))] == ids
    unknown, alone = await switch.vosd("calls", "--agent", "tip"), await switch.vosd("calls", "--all")
    assert (unknown.exit_code, "did you mean 'top'?" in unknown.stderr) == (1, True)
    assert (alone.exit_code, "--all says how many accounts" in alone.stderr) == (2, True)


async def test_hangup_sends_what_was_selected(switch: Switch) -> None:
    answer = document(await switch.vosd("hangup", "--account", "acme", "--older-than", "60", "--json"))
    assert answer == {"fitting": 1, "ended": 1}
    assert switch.asked == [Hangup(CallSelection(account="acme", older_than_s=60), at_most=1)]


async def test_hangup_of_many_calls_ends_none_without_yes(switch: Switch) -> None:
    switch.fitting = 12
    refused = await switch.vosd("hangup", "--gateway", "carrier-a")
    assert refused.exit_code == 1
    assert "12 calls fit and none was ended; say --yes" in refused.stderr
    ended = await switch.vosd("hangup", "--gateway", "carrier-a", "--yes")
    assert (ended.exit_code, ended.stdout) == (0, "ended 12 calls\n")


async def test_hangup_of_a_call_that_is_not_running_fails_and_of_a_selection_without_calls_does_not(
    switch: Switch,
) -> None:
    switch.fitting = 0
    gone = await switch.vosd("hangup", "01A0C4506C01")
    assert (gone.exit_code, "01a0c450-6c01 is not running" in gone.stderr) == (1, True)
    none = await switch.vosd("hangup", "--prefix", "44")
    assert (none.exit_code, none.stdout) == (0, "ended 0 calls\n")


async def test_hangup_ends_no_call_where_the_beginning_of_an_id_fits_several(switch: Switch) -> None:
    switch.fitting = 2
    refused = await switch.vosd("hangup", "01a0c450-6c01", "--yes")
    assert refused.exit_code == 1
    assert "2 calls begin with 01a0c450-6c01 and none was ended" in refused.stderr
    assert switch.asked == [Hangup(CallSelection(call_id="01a0c450-6c01"), at_most=1)]


@pytest.mark.parametrize("word", ["01a0c45", "c9", "me@host", ""])
async def test_hangup_of_what_is_no_call_id_is_wrong_usage(switch: Switch, word: str) -> None:
    assert (await switch.vosd("hangup", word, "--yes")).exit_code == 2
    assert switch.asked == []


async def test_calls_on_a_terminal_are_a_line_each_with_ids_that_differ(switch: Switch, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ids = ["01a0c450-6c01-7000-8000-000000000001", "01a0c450-6c01-7000-8000-000000000002", "01a0c450-6c02-7000"]
    switch.answers(ListCalls, [replace(CALL, call_id=call_id) for call_id in ids])
    lines = (await switch.vosd("calls")).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["id", *ids[:2], "01a0c450-6c02"]
    assert max(map(len, lines)) <= 80


async def test_registrations_on_a_terminal_are_a_line_each(switch: Switch, monkeypatch) -> None:
    inbound = InboundRow(
        name="1001",
        kind="phone",
        state="registered",
        contact="<sip:1001@192.168.178.20:5060;transport=udp;line=a-long-parameter>",
        received="203.0.113.200:60123",
        transport="udp",
        path=[],
        q=1.0,
        user_agent="A telephone with a long name 1.2.3",
        registered_at="2026-03-01T12:00:00.000Z",
        expires_at="2026-03-01T12:34:56.789Z",
    )
    outbound = OutboundRow(
        name="carrier-with-a-long-name",
        kind="routing_gateway",
        state="registered",
        server="registrar.example.net:5060",
        username="vosd",
        contact="<sip:vosd@192.0.2.1>",
        registered_at=None,
        expires_at=None,
        next_attempt_at=None,
        failures=0,
        last_status=200,
    )
    switch.answers(ListRegistrations, [inbound, outbound])
    shown = document(await switch.vosd("registrations", "--json"))
    assert shown == builtins([inbound, outbound])
    assert [row["direction"] for row in shown] == ["inbound", "outbound"]
    monkeypatch.setenv("COLUMNS", "80")
    lines = (await switch.vosd("registrations")).stdout.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["1001", "inbound", "registered", "203.0.113.200:60123", "12:34:56"]


async def test_hangup_without_a_selection_is_wrong_usage(switch: Switch) -> None:
    assert (await switch.vosd("hangup")).exit_code == 2
    assert switch.asked == []


async def test_a_valid_reload_prints_what_is_in_force_and_warns_on_standard_error(switch: Switch) -> None:
    result = await switch.vosd("reload")
    assert (result.exit_code, result.stdout) == (0, "catalogue def is in force\n")
    assert "node: expected no change" in result.stderr


async def test_a_bad_reload_is_exit_3_with_the_list(switch: Switch) -> None:
    problems = ["vosd.yaml:3: sip: expected keys", "vosd.yaml:9: accounts: expected a list"]
    switch.answers(Reload, CommandError("the file is bad", problems))
    result = await switch.vosd("reload")
    assert result.exit_code == 3
    assert result.stderr.splitlines() == problems
    assert result.stdout == ""


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--json",), 1), (("--end-calls",), 0)])
async def test_a_restart_that_has_ended_calls_says_so_by_its_exit_code(
    switch: Switch, words: tuple[str, ...], code: int
) -> None:
    switch.answers(GetStatus, replace(STATUS, figures={"calls": 2, "calls_lost": 40}))
    result = await switch.vosd("restart", *words)
    assert (result.exit_code, "40 calls have ended" in result.stderr) == (code, True)
    assert [each for each in switch.asked if isinstance(each, Restart)] == [Restart(code == 0)]


@pytest.mark.parametrize(
    "verb", [["status"], ["calls"], ["calls", "--ladder", "01a0c450"], ["reload"], ["hangup", "01a0c450"]]
)
def test_without_a_running_switch_these_verbs_are_exit_4(verb: list[str], tmp_path: Path) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text(f"control_socket: {tmp_path / 'vosd.sock'}\n")
    result = CliRunner().invoke(main, [*verb, "-c", str(config)])
    assert result.exit_code == 4
    assert f"no running switch answers at {tmp_path / 'vosd.sock'}" in result.stderr
    assert result.stdout == ""


async def test_a_switch_that_goes_away_while_it_works_is_exit_4(tmp_path: Path) -> None:
    async def vanish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    config = tmp_path / "vosd.yaml"
    config.write_text(f"control_socket: {tmp_path / 'vosd.sock'}\n")
    server = await asyncio.start_unix_server(vanish, tmp_path / "vosd.sock")
    async with server:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["status", "-c", str(config)])
    assert result.exit_code == 4


async def test_a_file_that_is_not_yaml_is_exit_3_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text("node: [\n")
    result = await asyncio.to_thread(CliRunner().invoke, main, ["status", "-c", str(config)])
    assert result.exit_code == 3
    assert result.stderr.startswith(f"{config}:")


async def test_unblock_fails_where_nothing_was_blocked(switch: Switch) -> None:
    done = await switch.vosd("unblock", "203.0.113.66")
    assert (done.exit_code, done.stdout) == (0, "203.0.113.66 is unblocked\n")
    refused = await switch.vosd("unblock", "2001:DB8::/64")
    assert refused.exit_code == 1
    assert "2001:db8:: was not locked out" in refused.stderr
    assert switch.asked == [Unblock("203.0.113.66"), Unblock("2001:db8::")]


async def test_unblock_lists_who_is_locked_out(switch: Switch) -> None:
    assert (await switch.vosd("unblock", "--list")).stdout == "no source is locked out\n"
    until = "2026-03-01T12:00:00.000Z"
    rows = [
        SilencedSource("203.0.113.66", "wrong credentials", 120, until, failures=6, username="1001\x1b[2J"),
        SilencedSource("203.0.113.99", "flood", 7, until, failures=None, username=None),
    ]
    switch.answers(ListLockedOut, rows)
    assert document(await switch.vosd("unblock", "--list", "--json")) == builtins(rows)
    lines = (await switch.vosd("unblock", "--list")).stdout.splitlines()
    assert lines[1].split()[:5] == ["203.0.113.66", "wrong", "credentials", "120", "s"]
    assert lines[1].endswith("1001\\x1b[2J")
    assert lines[2].split()[:4] == ["203.0.113.99", "flood", "7", "s"]


@pytest.mark.parametrize("words", [[], ["192.0.2.1", "--list"], ["example.org"]])
async def test_unblock_needs_one_address(switch: Switch, words: list[str]) -> None:
    assert (await switch.vosd("unblock", *words)).exit_code == 2
    assert switch.asked == []


@pytest.mark.parametrize("network", ["10.0.0.0/8", "10.0.0.0/64", "2001:db8::/32", "192.0.2.1/", "2001:db8::/064"])
async def test_unblock_takes_no_network_but_that_which_is_locked_out_as_one(switch: Switch, network: str) -> None:
    refused = await switch.vosd("unblock", network)
    assert refused.exit_code == 2
    assert f"'{network}': expected an IP address or an IPv6 network of /64" in refused.stderr
    assert switch.asked == []


LISTED = BlacklistedCaller(
    caller="1001",
    mapping_gateway="acme",
    cause="frequency",
    limit=60,
    since="2026-03-01T12:00:00.000Z",
    until="2026-03-01T13:00:00.000Z",
    remaining_s=3_600,
)


async def test_callers_on_the_blacklist_are_an_array(switch: Switch) -> None:
    assert json.loads((await switch.vosd("blacklist", "list", "--json")).stdout) == []
    assert (await switch.vosd("blacklist", "list")).stdout == "no caller is on the list\n"
    switch.answers(ListBlacklist, [LISTED])
    assert json.loads((await switch.vosd("blacklist", "list", "--json")).stdout) == [builtins(LISTED)]
    assert "frequency" in (await switch.vosd("blacklist", "list")).stdout


async def test_one_caller_or_all_are_taken_off_the_blacklist(switch: Switch) -> None:
    one = await switch.vosd("blacklist", "clear", "1001", "--json")
    assert (one.exit_code, json.loads(one.stdout)) == (0, {"number": "1001", "cleared": 2})
    assert (await switch.vosd("blacklist", "clear")).stdout == "2 taken off the list\n"
    assert switch.asked == [ClearBlacklist("1001"), ClearBlacklist()]


async def test_a_caller_that_is_not_on_the_blacklist_is_a_failure(switch: Switch) -> None:
    missing = await switch.vosd("blacklist", "clear", "7")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "7 is not on the list" in missing.stderr


@pytest.mark.parametrize(
    "words", [["clear", ""], ["clear", "+"], ["clear", "1" * 129], ["clear", "1", "2"], ["list", "1"], ["clear", "1\n"]]
)
async def test_wrong_usage_of_the_blacklist_is_refused(switch: Switch, words: list[str]) -> None:
    refused = await switch.vosd("blacklist", *words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert switch.asked == []

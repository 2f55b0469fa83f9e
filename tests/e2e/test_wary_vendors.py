"""Vendors that want more than calls: proof of who calls, a registration, or to be asked whether they are there."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from doubles.daemon import Daemon
from doubles.sockets.peer import Peer

from vosd.obs.events import Event

from .addresses import OTHER_SWITCH, VENDORS, WARY_SWITCH
from .conditions import eventually
from .conversation import Conversation
from .expectations import answered, check
from .stage import Caller, Stage, Vendor, configuration

pytestmark = pytest.mark.sipp

UNAUTHORIZED = {
    "code": "401",
    "authenticate": "WWW-Authenticate",
    "authorization": "Authorization",
    "verify": '<verifyauth assign_to="proven" username="vosd" password="secret"/>',
}
PROXY = {
    "code": "407",
    "authenticate": "Proxy-Authenticate",
    "authorization": "Proxy-Authorization",
    # SIPp verifies Authorization only.
    "verify": '<ereg regexp="response=.[0-9a-f]+" search_in="msg" check_it="true" assign_to="proven"/>',
}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A vendor that is a switch of our own."""
    with Daemon(tmp_path_factory.mktemp("other"), configuration("other.yaml", OTHER_SWITCH)) as daemon:
        yield daemon
        assert daemon.interrupt() == 0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, other: Daemon) -> Iterator[Stage]:
    """The switch whose vendors are wary."""
    text = configuration("wary.yaml", WARY_SWITCH).replace("$other", str(OTHER_SWITCH))
    with Daemon(tmp_path_factory.mktemp("wary"), text) as daemon:
        stage = Stage(daemon, WARY_SWITCH, Event.REGISTRATION_REFUSED, Event.GATEWAY_DOWN, Event.ACCOUNT_REFUSED)
        yield stage
        stage.expect_nothing_left()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        assert _registrations(other) == []


def _registrations(daemon: Daemon) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = daemon.ask("registrations")
    return rows


def _row(stage: Stage, gateway: str) -> dict[str, Any]:
    (row,) = [row for row in _registrations(stage.daemon) if row["name"] == gateway]
    return row


def _why_left(stage: Stage, gateway: str, callee: str) -> str | None:
    """Return why a gateway is left out right now; None where it is not."""
    words = ("--gateway", "acme-pbx", "--caller", "1202", "--callee", callee, "--live")
    explained = stage.daemon.ask("route", "explain", *words)
    return next((left["reason"] for left in explained["left"] if left["routing_gateway"] == gateway), None)


def _events(stage: Stage, gateway: str) -> list[str]:
    return [line["event"] for line in stage.daemon.log() if line.get("gateway") == gateway]


@pytest.mark.parametrize("values", [UNAUTHORIZED, PROXY], ids=["401", "407"])
def test_a_vendor_that_wants_proof_of_invite_and_bye_gets_both(stage: Stage, values: dict[str, str]) -> None:
    record = stage.call(Caller("hangs_up"), "4410", [Vendor("carrier-wary", "wants_proof", values)])
    check(record, answered("carrier-wary"))


@pytest.mark.parametrize("values", [UNAUTHORIZED, PROXY], ids=["401", "407"])
def test_a_password_that_is_not_believed_is_said_once_and_leads_to_the_next_vendor(
    stage: Stage, values: dict[str, str]
) -> None:
    vendors = [Vendor("carrier-doubtful", "believes_nothing", values), Vendor("carrier-b", "answers")]
    record = stage.call(Caller("hangs_up"), "4420", vendors)
    check(record, answered("carrier-b", attempts=(("carrier-doubtful", int(values["code"])), ("carrier-b", 200))))


@pytest.mark.parametrize(
    ("gateway", "prefix", "user", "transport"),
    [("carrier-vosd", "4440", "trunk", ""), ("carrier-vosd-by-tcp", "4460", "trunk-by-tcp", ";transport=tcp")],
)
def test_a_switch_registers_with_another_and_calls_through_it_by_sha_256(
    stage: Stage, other: Daemon, gateway: str, prefix: str, user: str, transport: str
) -> None:
    eventually(lambda: _row(stage, gateway)["state"] == "registered", lambda: str(_row(stage, gateway)))
    (binding,) = [row for row in _registrations(other) if row["name"] == user]
    assert binding["kind"] == "mapping_gateway"
    assert binding["contact"] == f"sip:{user}@{WARY_SWITCH}{transport}"
    callee = stage.number(prefix)
    beyond = {"switch": str(OTHER_SWITCH).replace(".", r"\.")}
    with (
        stage.vendor(Vendor("carrier-d", "answers_anyone", beyond), callee) as vendor,
        stage.caller(Caller("hangs_up"), callee, stage.endpoint_of("acme")) as caller,
    ):
        caller.wait()
        vendor.wait()
    record = stage.record_of(callee)
    assert [(each["gateway"], each["code"]) for each in record["attempts"]] == [(gateway, 200)]
    (beyond_record,) = eventually(lambda: other.ask("cdr", "list", "--callee", callee), "the vendor's own CDR")
    assert (beyond_record["mapping_gateway"], beyond_record["end_reason"]) == (user, "Normal")
    assert "registration_gained" in _events(stage, gateway)


def test_a_wrong_password_at_a_registrar_leaves_the_gateway_out(stage: Stage) -> None:
    eventually(lambda: _row(stage, "carrier-locked")["state"] == "refused", lambda: str(_row(stage, "carrier-locked")))
    assert _row(stage, "carrier-locked")["last_status"] == 401
    assert _events(stage, "carrier-locked") == ["registration_refused"]
    assert (_why_left(stage, "carrier-locked", "4450") or "").startswith(
        f"unregistered: not registered at {OTHER_SWITCH}"
    )
    assert _row(stage, "carrier-vosd")["state"] == "registered", "others of the same address are not locked out"
    check(stage.call(Caller("hangs_up"), "4450", [Vendor("carrier-b", "answers")]), answered("carrier-b"))


def test_a_trunk_that_dies_is_left_out_and_comes_back(stage: Stage) -> None:
    eventually(lambda: _why_left(stage, "carrier-asked", "4430"), "no answer there")
    assert (_why_left(stage, "carrier-asked", "4430") or "").startswith("down: answers no OPTIONS for ")
    check(stage.call(Caller("hangs_up"), "4430", [Vendor("carrier-b", "answers")]), answered("carrier-b"))
    with Peer(VENDORS["carrier-asked"]) as trunk, Peer(stage.endpoint_of("acme")) as customer:

        def is_up_after_one_more_answer() -> bool:
            trunk.reply(trunk.expect("OPTIONS"), 405, tag="there")
            looking = beside.submit(_why_left, stage, "carrier-asked", "4430")
            while not looking.done():  # on a busy machine it would be down again before the verb has looked
                if (ping := trunk.receive(0.1)) is not None:
                    trunk.reply(ping, 405, tag="there")
            return looking.result() is None

        with ThreadPoolExecutor(1) as beside:
            eventually(is_up_after_one_more_answer, "it is up again", looks=10)
        call = Conversation(stage, customer, trunk, "4430", passing=("OPTIONS",))  # it is asked again meanwhile
        call.establish()
        call.hang_up()
    check(stage.record_of(call.callee), answered("carrier-asked", rang=False))
    eventually(lambda: _why_left(stage, "carrier-asked", "4430"), "it is gone once more")
    assert _events(stage, "carrier-asked") == ["gateway_down", "gateway_up", "gateway_down"]


def test_a_stop_takes_the_registration_back(stage: Stage, other: Daemon, tmp_path: Path) -> None:
    """On a switch of its own; that of the others does the same when they are through."""
    text = configuration("wary.yaml", WARY_SWITCH._replace(port=15_082)).replace("$other", str(OTHER_SWITCH))
    text = text.replace("username: trunk", "contact_user: second, username: trunk")
    before = len(_registrations(other))
    with Daemon(tmp_path, text) as daemon:
        eventually(lambda: len(_registrations(other)) == before + 2, "the second switch registers")
        assert daemon.interrupt() == 0
    assert len(_registrations(other)) == before
    assert stage.status()["calls"] == 0

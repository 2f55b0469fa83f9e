"""FreeRADIUS: it judges digests, what a call leaves there, and what kills of either side cost."""

import time
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
from doubles.daemon import Daemon
from doubles.sockets.login import Login
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer
from doubles.telephone import Telephone
from e2e.conditions import eventually
from e2e.stage import SQLITE, Stage

from vosd.obs.events import Event

from .addresses import RADIUS_CUSTOMER, RADIUS_PHONE, RADIUS_SERVER, RADIUS_SWITCH, RADIUS_VENDOR
from .freeradius import CLASS, LONGEST_S, SECRET, USERS, FreeRadius

HERE = Path(__file__).parent
VALUES = {
    "switch": str(RADIUS_SWITCH),
    "database": SQLITE,
    "radius_host": RADIUS_SERVER.host,
    "radius_port": str(RADIUS_SERVER.port),
    "accounting_port": str(RADIUS_SERVER.port + 1),
    "secret": SECRET,
    "customer_host": RADIUS_CUSTOMER.host,
    "vendor": str(RADIUS_VENDOR),
}
CONFIGURATION = Template((HERE / "radius.yaml").read_text()).safe_substitute(VALUES)


class Site:
    """A switch, its server of RADIUS, a customer and a vendor."""

    def __init__(self, directory: Path, daemon: Daemon, customer: Peer, vendor: Peer) -> None:
        self._directory = directory
        self.stage = Stage(daemon, RADIUS_SWITCH, Event.RADIUS_UNREACHABLE, Event.RADIUS_ACCOUNTING_DOWN)
        self.daemon = daemon
        self.customer = customer
        self.vendor = vendor
        self.server = self.new_server()

    def new_server(self) -> FreeRadius:
        """Return a server that writes into the same file as the one before."""
        return FreeRadius(self._directory, RADIUS_SERVER)

    def talk(self, callee: str = "") -> OutgoingCall:
        """Set a call up."""
        call = OutgoingCall(self.customer, RADIUS_SWITCH, callee or self.stage.number("44"))
        call.invite()
        invite = self.vendor.expect("INVITE")
        self.vendor.reply(invite, 200, tag="vendor", body=ANSWER)
        call.answered()
        self.vendor.expect("ACK")
        return call

    def hang_up(self, call: OutgoingCall) -> dict[str, Any]:
        """End a call; return its record."""
        self.customer.send(call.request("BYE", 2), RADIUS_SWITCH)
        bye = self.vendor.expect("BYE", passing=("ACK",))  # a start repeats the ACK of what goes on
        self.vendor.reply(bye, 200)
        self.customer.expect(200)
        return self.stage.record_of(call.callee)

    def accounted(self, status: str, which: str | None = None) -> list[dict[str, str]]:
        """Return the records of one kind, of one call by its id or its called number, or of all."""
        return [
            each
            for each in self.server.accounted()
            if each["Acct-Status-Type"] == status
            and which in {None, each["Acct-Session-Id"], each.get("Called-Station-Id")}
        ]

    def wait_for(self, status: str, which: str | None = None) -> list[dict[str, str]]:
        """Wait for a record; return all of that kind."""
        return eventually(
            lambda: self.accounted(status, which),
            lambda: f"{status} of {which}: {self.server.accounted()}",
            within_s=60,
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("radius")
    with (
        Daemon(tmp_path_factory.mktemp("switch"), CONFIGURATION) as daemon,
        Peer(RADIUS_CUSTOMER) as customer,
        Peer(RADIUS_VENDOR) as vendor,
    ):
        yield Site(directory, daemon, customer, vendor)


def test_a_call_is_accounted_from_start_to_stop(site: Site) -> None:
    with site.server:
        on = site.wait_for("Accounting-On")
        assert on[0]["NAS-Identifier"] == "radius-switch"
        assert on[0]["NAS-IP-Address"] == "192.0.2.1"
        call = site.talk()
        (start,) = site.wait_for("Start", call.callee)
        call_id = start["Acct-Session-Id"]
        interim = site.wait_for("Interim-Update", call_id)[0]
        record = site.hang_up(call)
        (stop,) = site.wait_for("Stop", call_id)
        assert record["call_id"] == call_id
        for each in (start, interim, stop):
            assert each["User-Name"] == "customer"
            assert each["Calling-Station-Id"] == record["caller_in"]
            assert each["Called-Station-Id"] == call.callee
            assert each["h323-remote-address"] == f"h323-remote-address={RADIUS_CUSTOMER.host}"
            assert each["h323-call-origin"] == "h323-call-origin=answer"
            assert each["h323-conf-id"].replace(" ", "").lower() == "h323-conf-id=" + call_id.replace("-", "")
            assert each["h323-connect-time"] == start["h323-connect-time"]
        assert int(interim["Acct-Session-Time"]) >= 1
        assert stop["Acct-Session-Time"] == str(record["hold_time_s"])
        assert stop["Acct-Terminate-Cause"] == "User-Request"
        assert stop["h323-disconnect-cause"] == "h323-disconnect-cause=10"
        assert stop["h323-disconnect-time"].endswith(record["ended_at"][:4])
        assert "Acct-Terminate-Cause" not in start


def test_it_judges_the_passwords_of_registrations_and_calls(site: Site) -> None:
    with site.server, Peer(RADIUS_PHONE) as at:
        telephone = Telephone(at, RADIUS_SWITCH, Login("2001", USERS["2001"]))
        telephone.register()
        call = telephone.call(f"{site.stage.number('44')}9")
        site.vendor.reply(site.vendor.expect("INVITE"), 200, tag="capped", body=ANSWER)
        call.answered(cseq=2)
        site.vendor.expect("ACK")
        at.reply(at.expect("BYE", within_s=60), 200)  # by Session-Timeout
        site.vendor.reply(site.vendor.expect("BYE"), 200)
        record = site.stage.record_of(call.callee)
        assert (record["end_reason"], record["hold_time_s"]) == ("Maximum Duration", LONGEST_S)
        assert record["mapping_gateway"] == "2001"
        (stop,) = site.wait_for("Stop", record["call_id"])
        assert (stop["User-Name"], stop["Acct-Terminate-Cause"]) == ("2001", "Session-Timeout")
        (start,) = site.accounted("Start", record["call_id"])
        assert (record["radius_class"], start["Class"], stop["Class"]) == (CLASS, f"0x{CLASS}", f"0x{CLASS}")
        for name, password in (("2001", "wrong"), ("2002", USERS["2001"])):
            refused = Telephone(at, RADIUS_SWITCH, Login(name, password))
            with pytest.raises(AssertionError, match="401"):
                refused.register()
    with Peer(RADIUS_PHONE) as at:
        telephone = Telephone(at, RADIUS_SWITCH, Login("2001", USERS["2001"]))
        with pytest.raises(AssertionError, match="503"):
            telephone.register()
    site.server = site.new_server()


def test_stops_wait_for_a_server_that_was_killed_also_over_a_kill_of_the_switch(site: Site) -> None:
    with site.server as first:
        call, other = site.talk(), site.talk()
        site.wait_for("Start", call.callee)
        site.wait_for("Start", other.callee)
        first.kill()
        before, since_s = site.hang_up(call), time.monotonic()
        eventually(lambda: site.stage.status()["radius_servers_down"] == 1, "the server is out of service", 60)
        site.daemon.kill()
        site.daemon.start()
        after = site.hang_up(other)
    assert site.accounted("Stop", before["call_id"]) == []
    eventually(lambda: time.monotonic() - since_s > 1.5, "a second has passed, and a record is sent anew", 5)
    site.server = site.new_server()
    with site.server:
        for record in (before, after):
            site.wait_for("Stop", record["call_id"])
        eventually(lambda: site.stage.status()["radius_accounting"] == 0, "nothing waits", 60)
        eventually(lambda: site.stage.status()["radius_servers_down"] == 0, "the server is back", 60)
        for record in (before, after):
            (stop,) = site.accounted("Stop", record["call_id"])
            assert stop["Acct-Session-Time"] == str(record["hold_time_s"])
        (late,) = site.accounted("Stop", before["call_id"])
        assert int(late["Acct-Delay-Time"]) >= 1
        assert len(site.accounted("Accounting-On")) == 1, "the second start went on with a call"
        site.daemon.interrupt()
        site.wait_for("Accounting-Off")

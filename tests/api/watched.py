"""A switch that runs, with the API beside it, on one scratch database; both fronts are asked in the same way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from doubles.api import ADMINISTRATOR, Api
from doubles.daemon import Daemon
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall, Peer
from doubles.telephone import Telephone
from e2e.addresses import API_SWITCH, PHONES, VENDORS
from e2e.stage import SQLITE, Stage, configuration

from vosd.obs.events import Event

CALM: Final = "\nalarms: {cpu: 0, memory: 0, disk_free: 0, loop_lag: 0, journal_sync: 0, clock_jump: 0}\n"
"""No alarm of a machine that is busy with other tests, whose time nothing here decides."""


class Watched(NamedTuple):
    """The installation."""

    daemon: Daemon
    api: Api
    stage: Stage

    def items(self, path: str, token: str = ADMINISTRATOR) -> list[dict[str, Any]]:
        """Return the items of a list."""
        reply = self.api.ask("GET", path, token=token)
        assert reply.status == 200, reply.content
        found: list[dict[str, Any]] = reply.json["items"] if isinstance(reply.json, dict) else reply.json
        return found

    def cli(self, *words: str) -> Any:
        """Return the document of a verb."""
        return self.daemon.ask(*words)

    def drawn(self, *words: str) -> str:
        """Return the ladder that a verb draws."""
        return self.daemon.succeed(*words).removesuffix("\n")


@contextmanager
def watched(directory: Path, more: str = "", url: str = SQLITE) -> Iterator[Watched]:
    """Start both; ``more`` is put behind the configuration."""
    alarms = "" if "\nalarms:" in more else CALM
    text = configuration(Path(__file__).parent / "switch.yaml", API_SWITCH, url) + more + alarms
    with Daemon(directory, text) as daemon, Api(daemon.configuration_file) as api:
        stage = Stage(daemon, API_SWITCH, Event.CALLER_BLACKLISTED)
        yield Watched(daemon, api, stage)
        stage.expect_clean_log()


def refused_call(site: Watched, customer: str = "acme") -> dict[str, Any]:
    """Make a call that two vendors refuse, and return its record."""
    with (
        Peer(VENDORS["carrier-b"]) as first,
        Peer(VENDORS["carrier-c"]) as second,
        Peer(site.stage.endpoint_of(customer)) as caller,
    ):
        call = OutgoingCall(caller, API_SWITCH, site.stage.number("4420"))
        call.invite()
        for vendor, status in ((first, 503), (second, 486)):
            vendor.reply(vendor.expect("INVITE"), status, tag="vendor")
            vendor.expect("ACK")
        assert call.refused().status == 486
    return site.stage.record_of(call.callee)


def blacklist(site: Watched) -> None:
    """Have a caller on the blacklist, which has to be empty."""
    assert [refused_call(site, "poor")["sip_code"] for _ in range(2)] == [486, 486]
    with Peer(site.stage.endpoint_of("poor")) as listed:
        call = OutgoingCall(listed, API_SWITCH, site.stage.number("4420"))
        call.invite()
        assert call.refused().status == 403


def register(_site: Watched) -> None:
    """Have a phone registered."""
    with Peer(Endpoint(PHONES["desk"], 15_998)) as desk:
        Telephone(desk, API_SWITCH, Login("7001", "a-long-secret-1")).register()


def something_of_everything(site: Watched) -> str:
    """Have calls, a caller on the blacklist, a phone, versions of an account; return the id of a refused call."""
    blacklist(site)
    register(site)
    for limit in ("10", "20"):
        made = site.api.ask("PUT", "/accounts/shop", {"keys": {"overdraft_limit": limit}})
        assert made.status == 200, made.content
    return str(refused_call(site)["call_id"])

"""Trunks with names in the real daemon: looked up at start and on reload, told of where they lead nowhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.nameserver import Mood, NameServer, in_background
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer
from e2e.addresses import NETWORK
from e2e.conditions import eventually

ZONE = """
example.net 60 NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.example.net.
_sip._udp.example.net 60 SRV 10 0 14083 a.example.net.
_sip._udp.example.net 60 SRV 20 0 14084 b.example.net.
a.example.net 60 A 127.0.0.1
b.example.net 60 A 127.0.0.2
"""
CONFIGURATION = """
node: sw1
sip: {listen: ["udp:$network.9:14063"], dns: {servers: "127.0.0.1:$port", timeout: 10, attempts: 1}}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
rate_groups:
  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}
accounts:
  - {id: acme, type: direct, rate_group: sell, overdraft_limit: unlimited}
  - {id: carriers, type: clearing, overdraft_limit: unlimited}
mapping_gateways:
  - {name: acme-pbx, account: acme, hosts: [127.0.0.1/32]}
routing_gateways:
  - {name: carrier-a, account: carriers, allow_unrated: yes, address: example.net}
""".replace("$network", NETWORK)
EXPLAIN = ("route", "explain", "--gateway", "acme-pbx", "--caller", "1000", "--callee", "4420123", "--live")
FOUND = ["127.0.0.1:14083;transport=udp", "127.0.0.2:14084;transport=udp"]


@pytest.fixture
def server() -> Iterator[NameServer]:
    with in_background(NameServer(ZONE)) as server:
        yield server


def configuration(server: NameServer) -> str:
    return CONFIGURATION.replace("$port", str(server.address[1]))


def test_a_name_is_known_before_the_first_call_comes(server: NameServer, tmp_path: Path) -> None:
    with Daemon(tmp_path, configuration(server)) as daemon:
        assert daemon.ask(*EXPLAIN)["addresses"] == {"carrier-a": FOUND}
        assert "127.0.0.2:14084;transport=udp" in " ".join(daemon.succeed(*EXPLAIN).split())


def test_a_reload_looks_up_the_names_that_it_brings(server: NameServer, tmp_path: Path) -> None:
    more = "  - {name: carrier-b, account: carriers, allow_unrated: yes, address: 'a.example.net:14085'}\n"
    with Daemon(tmp_path, configuration(server)) as daemon:
        daemon.configure(configuration(server) + more)
        daemon.succeed("reload")
        assert daemon.ask(*EXPLAIN)["addresses"] == {"carrier-a": FOUND, "carrier-b": ["127.0.0.1:14085"]}


@pytest.mark.parametrize(("mood", "why"), [(Mood.SILENT, "silent for 0.1 s"), (Mood.FAILING, "SERVFAIL")])
def test_a_start_does_not_fail_for_a_name_that_leads_nowhere(
    server: NameServer, tmp_path: Path, mood: Mood, why: str
) -> None:
    server.mood = mood
    with Daemon(tmp_path, configuration(server).replace("timeout: 10", "timeout: 0.1")) as daemon:
        (line,) = [line for line in daemon.log() if line["event"] == "gateway_name_lost"]
        assert (line["level"], line["name"], line["still_used"]) == ("warning", "example.net", [])
        assert why in line["why"]
        assert daemon.interrupt() == 0


@pytest.mark.parametrize("mood", [Mood.SILENT, Mood.FAILING])
def test_a_start_without_name_servers_uses_what_the_run_before_had_learned(
    server: NameServer, tmp_path: Path, mood: Mood
) -> None:
    with Daemon(tmp_path, configuration(server)) as daemon:
        eventually((tmp_path / "var" / "names.json").exists, "what was learned")
        server.mood = mood
        daemon.kill()
        daemon.start()
        assert daemon.ask(*EXPLAIN)["addresses"] == {"carrier-a": FOUND}
        server.mood = Mood.HELPFUL


def test_checking_a_configuration_asks_no_name_server(server: NameServer, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, configuration(server))
    daemon.succeed("check")
    assert server.asked == []


def test_calls_of_a_customer_come_from_where_its_name_leads(server: NameServer, tmp_path: Path) -> None:
    old, new, switch = (Endpoint(f"{NETWORK}.{last}", port) for last, port in ((31, 14069), (32, 14069), (9, 14063)))
    server.put(f"pbx.example.net 1 A {old.host}")
    text = configuration(server).replace("hosts: [127.0.0.1/32]", "hosts: [pbx.example.net]")
    proving = (
        "{name: proving, account: acme, hosts: [pbx.example.net], tech_prefix: '7', auth: {username: p, password: q}}"
    )
    text = text.replace("routing_gateways:", f"  - {proving}\nrouting_gateways:")
    text = text.replace("sip: {", "sip: {unknown_source: reject, ").replace(
        "attempts: 1", "attempts: 1, min_ttl: 1, max_ttl: 1"
    )

    def addresses(daemon: Daemon) -> list[str]:
        (row,) = daemon.ask("gateway", "show", "acme-pbx")["running"]
        found: list[str] = row["addresses"]
        return found

    def statuses(*callers: Peer, callee: str = "4420123") -> list[int | None]:
        found = []
        for caller in callers:
            call = OutgoingCall(caller, switch, callee)
            call.invite()
            found.append(call.refused().status)
        return found

    with Daemon(tmp_path, text) as daemon, Peer(old) as at_old, Peer(new) as at_new:
        assert statuses(at_old, at_new) == [503, 403]
        server.remove("pbx.example.net")
        server.put(f"pbx.example.net 1 A {new.host}")
        eventually(lambda: addresses(daemon) == [new.host], "the new address")
        assert statuses(at_old, at_new) == [403, 503]
        assert statuses(at_new, callee="74420123") == [401]
        server.mood = Mood.FAILING
        eventually(lambda: "gateway_name_lost" in [line["event"] for line in daemon.log()], "the lost name")
        assert (addresses(daemon), statuses(at_new)) == ([new.host], [503])


class NamedVendor(Peer):
    """A vendor whose Contact is a name, which leads to another host than its own."""

    contact = "gw.example.net:14086"


def test_a_bye_after_a_kill_goes_where_the_name_in_the_contact_of_the_vendor_leads(
    server: NameServer, tmp_path: Path
) -> None:
    """The next process once had not looked the name up when it went on, and sent all to where the vendor was seen."""
    pbx, switch, gateway = (
        Endpoint(f"{NETWORK}.{last}", port) for last, port in ((31, 14069), (9, 14063), (33, 14086))
    )
    server.put(f"gw.example.net 60 A {gateway.host}")
    text = configuration(server).replace("127.0.0.1/32", f"{pbx.host}/32")
    vendor_at = Endpoint("127.0.0.1", 14083)
    with (
        Peer(pbx) as caller,
        NamedVendor(vendor_at) as vendor,
        Peer(gateway) as there,
        Daemon(tmp_path, text) as daemon,
    ):
        call = OutgoingCall(caller, switch, "4420123")
        call.invite()
        vendor.reply(vendor.expect("INVITE"), 200, tag="v", body=ANSWER)
        call.answered()
        vendor.expect("ACK")
        daemon.kill()
        daemon.start()
        call.send(call.request("BYE", 2))
        bye = there.expect("BYE")
        there.reply(bye, 200)
        assert caller.final_response("2 BYE", call.call_id).status == 200
        assert daemon.interrupt() == 0

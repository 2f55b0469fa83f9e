"""Orders about registrations: all of them, or those of some phones."""

from types import SimpleNamespace

from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.loopback import Endpoint
from doubles.virtual.exchange import Exchange

from vosd.control.peers import ListRegistrations, ListRegistrationsOf
from vosd.daemon.commands import Commands
from vosd.sip.flows import Listener


async def test_registrations_of_some_phones_are_listed_without_a_look_at_the_others(monkeypatch):
    phones = [phone(f"100{number}", account="acme") for number in range(4)]
    exchange = Exchange(catalogue([mapping_gateway("acme")], phones=phones))
    for host, number in enumerate(("1000", "1001", "1001", "1002"), 1):
        exchange.telephone(number, Endpoint(f"203.0.113.{host}", 5_070)).register()
    table, listeners = exchange.registrations, [Listener("192.0.2.1", 5_060, "udp", "udp:192.0.2.1:5060")]
    ours = SimpleNamespace(vendors=SimpleNamespace(registrations=SimpleNamespace(rows=tuple)))
    service = SimpleNamespace(registrations=table, listeners=listeners, node=ours)
    loaded = SimpleNamespace(settings=SimpleNamespace(node="sw1"))
    configuration = SimpleNamespace(loaded=loaded)
    status = SimpleNamespace(service=service, silenced=None, configuration=configuration)
    commands = Commands(status, exchange.clock)
    everything = await commands.registrations(ListRegistrations())
    assert [each.name for each in everything] == ["1000", "1001", "1001", "1002"]

    looked_at, listed = [], table.listed
    monkeypatch.setattr(table, "listed", lambda names: (looked_at.append(each) or each for each in listed(names)))
    names = frozenset({"1001", "1003", "1009"})
    assert await commands.registrations_of(ListRegistrationsOf(names)) == everything[1:3]
    assert {each.name for each in looked_at} == {"1001"}
    assert await commands.registrations_of(ListRegistrationsOf(names, "113.3")) == everything[2:3]
    assert await commands.registrations_of(ListRegistrationsOf(names, "1002")) == []

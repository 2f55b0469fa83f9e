"""Calls whose ends wait in the sockets of a switch that was killed: who hung up first has ended them."""

import socket
import time
from contextlib import closing

from doubles.descriptor_store import DescriptorStore, take_descriptors
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OFFER
from doubles.virtual.probe import request
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from .conftest import CONFIGURATION

RESET = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER with which closing resets the connection."""
MANY = 150
"""Messages of one side before its BYE: more than the queue of running calls serves first in, first out."""


def test_the_side_that_hung_up_first_has_ended_the_call_whichever_listener_it_uses_and_whatever_it_sent_before(
    stage, tmp_path, monkeypatch
):
    """The caller hangs up as well, later, and is served no earlier: until then both sides would be charged."""
    with DescriptorStore(tmp_path) as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        two = CONFIGURATION.replace('["udp:$switch"]', '["udp:$switch", "udp:$inner"]').replace(
            'address: "$vendor",', 'address: "$vendor", interface: "udp:$inner",'
        )
        scene = stage(configuration=two, prepare=take_descriptors, inner=f"{NETWORK}.2:17999")
        began = time.monotonic()
        scene.answered(1)
        scene.daemon.kill()
        [call], [invite] = scene.customer.answered, scene.vendor.invites.values()
        for number in range(MANY):
            scene.vendor.request(invite, "INFO", cseq=100 + number)
        scene.vendor.request(invite, "BYE", cseq=1_000)
        hung_up = time.monotonic()
        eventually(lambda: time.monotonic() - hung_up > 3, "the caller hangs up, too")
        scene.customer.hang_up(call)
        scene.daemon.start()
        [record] = eventually(scene.records, "the record")
        assert (record["hangup_source"], record["end_reason"]) == ("callee", "Normal")
        assert record["hold_time_ms"] < 1_000 * (hung_up - began) + 1_000


def test_a_call_over_tcp_is_set_up_after_a_start_where_its_caller_waits_and_not_where_it_has_gone(
    stage, tmp_path, monkeypatch
):
    """It was set up, answered by the vendor and charged, though its caller had closed the connection, or reset it."""
    with DescriptorStore(tmp_path) as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        listening = CONFIGURATION.replace('["udp:$switch"]', '["udp:$switch", "tcp:$switch"]')
        any_port = listening.replace('hosts: ["$customer"]', f'hosts: ["{NETWORK}.11"]')
        scene = stage(configuration=any_port, prepare=take_descriptors)
        scene.daemon.kill()
        with closing(invited(scene, "gone")) as gone, closing(invited(scene, "waits")) as waits:
            gone.close()
            killed = invited(scene, "killed")
            killed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            killed.close()
            began = time.monotonic()
            eventually(lambda: time.monotonic() - began > 0.1, "the kernel's clock has gone on")
            scene.daemon.start()
            waits.settimeout(30.0)
            assert b"100 Trying" in waits.recv(1_000)
            eventually(lambda: scene.vendor.invites, "the call that waits is set up")
            calls = scene.daemon.ask("calls")
        assert [call["callee"] for call in calls] == ["442000000005"]
        assert len(scene.vendor.invites) == 1


def invited(scene, name: str) -> socket.socket:
    """Return a connection of the customer on which an INVITE was sent."""
    connection = socket.create_connection(tuple(scene.switch), source_address=(scene.customer.peer.address.host, 0))
    host, port = connection.getsockname()
    connection.sendall(
        request(
            uri=f"sip:44200000000{len(name)}@{scene.switch}",
            via=f"SIP/2.0/TCP {Endpoint(host, port)};branch=z9hG4bK-{name}",
            to=f"<sip:44200000000{len(name)}@{scene.switch}>",
            call_id=name,
            body=OFFER.encode(),
        )
    )
    return connection

"""Calls whose ends wait in the sockets of a switch that was killed: who hung up first has ended them."""

import time

from doubles.descriptor_store import DescriptorStore, take_descriptors
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from .conftest import CONFIGURATION

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
        scene.answered(1)
        began = time.monotonic()
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

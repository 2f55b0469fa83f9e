"""The addresses for SIP and media that a machine has no more."""

from types import SimpleNamespace

import pytest

from vosd.daemon.alarms import SwitchMeasures
from vosd.engine.settings import SipListener
from vosd.trunks.media import MediaAddress

LISTEN = (SipListener("udp", "127.0.0.1", 5060), SipListener("udp", "192.0.2.77", 5060))
MEDIA = ((MediaAddress("192.0.2.78", "198.51.100.1"),), (MediaAddress("127.0.0.1", "198.51.100.1"),))


@pytest.mark.parametrize(("relay", "expected"), [("relay", ["192.0.2.77", "192.0.2.78"]), (None, ["192.0.2.77"])])
def test_addresses_of_media_count_where_the_switch_relays(relay, expected):
    media = SimpleNamespace(parts=SimpleNamespace(relay=relay, addresses=MEDIA))
    service = SimpleNamespace(node=SimpleNamespace(media=media))
    measures = SwitchMeasures(service, None, dict, dict, LISTEN)
    assert sorted(measures.addresses_gone()) == expected

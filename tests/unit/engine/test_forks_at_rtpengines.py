"""Telephones of one call that ring together, by two address families, at rtpengines that have one or both."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.virtual.pooled_rtpengines import PooledRtpEngines
from doubles.virtual.rtpengines import HOSTS, HOSTS_6
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene
from doubles.virtual.vendor import RINGS, Line, Script

from vosd.trunks.dids import Did
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters
from vosd.trunks.ringing import RingOrder

NAMES = ("7001", "7002", "7003")
ANSWER_6 = ANSWER.replace("c=IN IP4 192.0.2.", "c=IN IP6 2001:db8::")
PLACES = ("2001:db8:9::66", "203.0.113.66", "203.0.113.67")


class Place(Endpoint):
    """A telephone's address, of either family."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else super().__str__()


@pytest.mark.parametrize(("winner", "has_both"), [(1, False), (0, True), (1, True), (2, True)])
def test_ports_that_one_telephone_does_not_take_end_no_call_of_the_others(monkeypatch, winner, has_both):
    """All their INVITEs are one call at an rtpengine until the first answer."""
    if not has_both:
        monkeypatch.setitem(HOSTS, "two", "2001:db8:1::2")
    monkeypatch.setitem(HOSTS_6, "one", HOSTS["one"])
    engines = PooledRtpEngines()
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    did = Did(CALLEE, "acme", phones=NAMES, ring=RingOrder.TOGETHER)
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32")]
    scene = Scene(catalogue(known, phones=[phone(each) for each in NAMES], dids=[did], media=media), rtpengines=engines)
    for index, (name, host) in enumerate(zip(NAMES, PLACES, strict=True)):
        answer = ANSWER_6 if ":" in host else ANSWER
        script = Script((Line(0, 180), Line(3_000, 200, answer))) if index == winner else RINGS
        scene.exchange.telephone(name, Place(host, 40_000 + index), script=script).register()
    call = scene.settled_call()
    scene.wire.run_for(5_000)
    assert call.final == 200
    assert engines.calls

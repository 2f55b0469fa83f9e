"""Relayed calls whose descriptions have video before audio: keys, music, figures and recordings are those of audio."""

import json
import re
from pathlib import Path

import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script
from msgspec.structs import replace

from vosd.engine.media.recordings import CallRecordings
from vosd.sdp.media import audio_place, media_of
from vosd.trunks.media import KeyWay, MediaEngine, MediaMode, MediaParameters, MediaSettings

VIDEO = "m=video 20010 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
FIRST, SECOND = (each.replace("m=audio", VIDEO + "m=audio") for each in (OFFER, ANSWER))
AUDIO = {"192.0.2.10": 20_000, "192.0.2.20": 30_000}
"""Port of the audio of both parties."""


class VideoScene:
    """A relayed call with video and audio."""

    def __init__(
        self,
        caller: KeyWay = KeyWay.AUTO,
        vendor: KeyWay = KeyWay.AUTO,
        engine: MediaEngine = MediaEngine.RELAY,
        **settings: int,
    ) -> None:
        self.relay = VirtualRelay()
        self.engines = VirtualRtpEngines() if engine is MediaEngine.RTPENGINE else None
        trunks = [
            mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(dtmf=caller, **settings)),
            vendor_gateway(0, media=MediaSettings(dtmf=vendor)),
        ]
        media = MediaParameters(engine=engine, mode=MediaMode.ON, music_on_hold="busy")
        self.scene = Scene(
            catalogue(trunks, accounts=[account("acme", overdraft_limit=None)], media=media, sounds=SOUNDS),
            relay=self.relay,
            rtpengines=self.engines,
        )
        self.scene.exchange.media.parts.recordings = CallRecordings(self.relay, Path("/recordings"))
        self.scene.vendor.script = Script((Line(0, 180), Line(200, 200, SECOND)))
        self.call = self.scene.caller.call(CALLEE, Intent(FIRST))
        self.scene.wire.run_until(lambda: self.call.final == 200)
        self.scene.wire.run_for(1_000)

    def audio_of(self, host: str):
        """Return the port of the relay to which a party sends its audio."""
        (found,) = (
            each
            for each in self.relay.open_ports.values()
            if each.source is not None and (each.source.host, each.source.rtp) == (host, AUDIO[host])
        )
        return found

    @property
    def recorded(self) -> set[int]:
        """Ports of the parties whose media are recorded."""
        return {each.source.rtp for each in self.relay.open_ports.values() if each.recording is not None}

    def propose(self, before: str, after: str, answer: Reply) -> None:
        """Let the caller make another offer, which the vendor answers so."""
        (there,) = self.scene.vendor.calls
        there.will("INVITE", answer)
        version = re.search(r"o=\S+ \S+ (\d+)", self.call.mine)
        assert version is not None
        body = self.call.mine.replace(version[0], f"{version[0][: -len(version[1])]}{int(version[1]) + 1}")
        self.call.ask("INVITE", body=body.replace(before, after))
        self.scene.wire.run_for(1_000)

    def finish(self):
        record = self.scene.finish(self.call)
        assert self.relay.open_ports == {}
        return record


def test_a_key_goes_into_the_audio():
    video = VideoScene(KeyWay.INFO, KeyWay.EVENTS)
    video.call.ask("INFO", body="Signal=5\r\nDuration=120\r\n", kind="application/dtmf-relay")
    video.scene.wire.run_for(500)
    assert video.audio_of("192.0.2.20").sent_keys == [("5", 120, False)]
    (there,) = video.scene.vendor.calls
    assert there.asked["INFO"] == []
    video.finish()


def test_keys_are_read_from_the_audio():
    video = VideoScene(KeyWay.EVENTS, KeyWay.INFO)
    audio = video.audio_of("192.0.2.10")
    assert audio.keys == (True, True)
    exchange = video.scene.exchange
    exchange.switch.media_events.key_pressed(audio.port.id, "7", 100, exchange.clock.now())
    exchange.flush()
    video.scene.wire.run_for(500)
    (there,) = video.scene.vendor.calls
    assert [each.body for each in there.asked["INFO"]] == ["Signal=7\r\nDuration=100\r\n"]
    video.finish()


@pytest.mark.parametrize("direction", ["a=sendonly", "a=inactive"])
def test_a_hold_of_the_audio_is_one_and_the_other_side_hears_music(direction):
    video = VideoScene()
    video.call.propose(direction)
    video.scene.wire.run_for(500)
    assert video.audio_of("192.0.2.20").playing is not None
    video.call.propose()
    video.scene.wire.run_for(500)
    assert video.audio_of("192.0.2.20").playing is None
    assert '"to":"callee","sound":"busy","codec":"PCMU"' in video.finish().media


def test_the_record_has_the_figures_of_the_audio():
    video = VideoScene()
    for host in AUDIO:
        audio = video.audio_of(host)
        audio.figures = replace(audio.figures, packets_in=50)
    legs = json.loads(video.finish().media)["legs"]
    assert [legs[name]["address"] for name in ("caller", "callee")] == ["192.0.2.10:20000", "192.0.2.20:30000"]
    assert [legs[name]["packets_in"] for name in ("caller", "callee")] == [50, 50]


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_the_audio_stays_where_it_is_when_an_offer_without_it_is_refused(engine):
    video = VideoScene(KeyWay.INFO, KeyWay.EVENTS, engine=engine, record=100)
    video.propose("m=audio 20000", "m=audio 0", Reply(488))
    assert video.call.got == {"INVITE": [488]}
    if engine is MediaEngine.RELAY:
        video.call.ask("INFO", body="Signal=5\r\nDuration=120\r\n", kind="application/dtmf-relay")
        video.scene.wire.run_for(500)
        assert video.audio_of("192.0.2.20").sent_keys == [("5", 120, False)]
        assert video.recorded == set(AUDIO.values())
    legs = json.loads(video.finish().media)["legs"]
    assert [legs[name]["address"] for name in ("caller", "callee")] == ["192.0.2.10:20000", "192.0.2.20:30000"]


@pytest.mark.parametrize("offer", [OFFER, FIRST.replace("m=audio 20000", "m=audio 0")])
@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_the_audio_stays_where_it_is_when_a_takeover_is_refused(engine, offer):
    video = VideoScene(KeyWay.INFO, KeyWay.EVENTS, engine=engine, record=100)
    video.scene.vendor.calls[0].will("INVITE", Reply(488))
    phone = video.scene.exchange.caller(Endpoint(CUSTOMER.host, 5_090))
    intent = Intent(offer.replace("192.0.2.10", "192.0.2.11"), headers=(f"Replaces: {video.call.replaces}",))
    newcomer = phone.call(CALLEE, intent)
    video.scene.wire.run_until(lambda: newcomer.final == 488)
    video.scene.wire.run_for(1_000)
    if engine is MediaEngine.RELAY:
        video.call.ask("INFO", body="Signal=5\r\nDuration=120\r\n", kind="application/dtmf-relay")
        video.scene.wire.run_for(500)
        assert video.audio_of("192.0.2.20").sent_keys == [("5", 120, False)]
        assert video.recorded == set(AUDIO.values())
    legs = json.loads(video.finish().media)["legs"]
    assert [legs[name]["address"] for name in ("caller", "callee")] == ["192.0.2.10:20000", "192.0.2.20:30000"]


def test_the_audio_is_recorded():
    video = VideoScene(record=100)
    assert video.recorded == set(AUDIO.values())
    video.finish()


@pytest.mark.parametrize(
    ("session", "place"), [(OFFER, 0), (FIRST, 1), (FIRST.replace("m=audio 20000", "m=audio 0"), 0)]
)
def test_the_audio_is_the_first_that_is_used(session, place):
    assert audio_place(media_of(session.encode())) == place

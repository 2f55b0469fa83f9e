"""The pool of rtpengines on virtual time, with rtpengines that answer, are silent, are full, or are started anew."""

from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest
from structlog.testing import capture_logs

from vosd.media.rtpengine_orders import (
    WITHIN_MS,
    EngineAnswer,
    RtpAnswer,
    RtpBlock,
    RtpDelete,
    RtpOffer,
    RtpQuery,
    RtpUnblock,
    session_order,
)
from vosd.media.termination import MediaForm
from vosd.rtpengine.pool import DELETES_AT_ONCE, PING_MS, REPEAT_MS, SETTLED_MS, RtpEnginePool
from vosd.sdp.media import media_of
from vosd.sdp.security import Protection
from vosd.trunks.media import MediaTrust, RtpEngine

ONE, TWO = RtpEngine("one", "192.0.2.5", 2_223), RtpEngine("two", "192.0.2.6", 2_223)
OFFER = session_order(RtpOffer, "vosd-1", b"v=0\r\n", "a", "b")


class World:
    """The network, and the programs behind it."""

    def __init__(self, *engines: RtpEngine, **others) -> None:
        self.now = 1_000_000
        self.sent: list[tuple[int, str, str, dict]] = []
        """Moment, rtpengine, cookie and order of every datagram."""
        self.dead: set[str] = set()
        self.results: dict[str, dict] = {}
        """Replies to offers by rtpengine, in place of a good one."""
        self.statistics: dict[str, dict] = {}
        """More that an rtpengine says of itself."""
        self.started = {each.name: self.now - 100_400 for each in engines}
        self.calls: dict[str, set[str]] = {each.name: set() for each in engines}
        self.hosts = {each.host: each for each in (*engines, ONE, TWO)}
        self.lost: list[str] = []
        self.answers: list[EngineAnswer | None] = []
        self.pool = RtpEnginePool(engines, self._sent, "t", lost=self.lost.append, **others)
        self._replies: list[tuple[bytes, str, int]] = []

    def _sent(self, datagram: bytes, host: str, port: int) -> None:
        engine = self.hosts[host]
        assert port == engine.port
        cookie, _, body = datagram.partition(b" ")
        order = msgspec.json.decode(body)
        self.sent.append((self.now, engine.name, cookie.decode(), order))
        if engine.name not in self.dead:
            reply = self._reply(engine.name, order)
            self._replies.append((cookie + b" " + msgspec.json.encode(reply), host, port))

    def _reply(self, name: str, order: dict) -> dict:
        calls = self.calls.setdefault(name, set())
        match order["command"]:
            case "statistics":
                uptime = (self.now - self.started.get(name, 0)) // 1_000
                statistics = {"totalstatistics": {"uptime": str(uptime)}, **self.statistics.get(name, {})}
                return {"result": "ok", "statistics": statistics}
            case "list":
                return {"result": "ok", "calls": sorted(calls)[: order["limit"]]}
            case "delete":
                assert order["delete delay"] == 0
                calls.discard(order["call-id"])
                return {"result": "ok", "warning": "none"}
            case "offer" if name not in self.results:
                calls.add(order["call-id"])
                return {"result": "ok", "sdp": f"v=0 of {name}\r\n"}
            case _:
                return self.results.get(name, {"result": "ok"})

    def deliver(self) -> None:
        while self._replies:
            self.pool.received(*self._replies.pop(0), self.now)

    def drop(self) -> None:
        """Lose the replies that are on their way."""
        self._replies.clear()

    def run(self, ms: int) -> None:
        """Let time pass; replies are there at once."""
        end = self.now + ms
        self.deliver()
        while (due := self.pool.next_ms()) is not None and due <= end:
            self.now = max(self.now, due)
            self.pool.advance(self.now)
            self.deliver()
        self.now = end

    def ask(self, order=OFFER, **others) -> bytes:
        return self.pool.ask(order, self.answers.append, self.now, **others)

    def of(self, command: str) -> list[tuple[int, str]]:
        return [(moment - 1_000_000, name) for moment, name, _, order in self.sent if order["command"] == command]

    def answered(self) -> list[str | None]:
        return [None if each is None else each.engine for each in self.answers]


@pytest.fixture
def world() -> Iterator[World]:
    made = World(ONE, TWO)
    made.pool.begin(made.now)
    made.run(0)
    with capture_logs():
        yield made


def test_an_answer_is_given_once_with_the_rtpengine_that_gave_it(world):
    world.ask()
    assert world.answers == [], "nothing is called before the answer is there"
    world.run(5_000)
    assert world.answered() == ["one"]
    assert world.answers[0].reply.session == b"v=0 of one\r\n"
    assert world.pool.waiting == 0


def test_a_reply_that_waited_while_the_process_stood_still_says_no_later_start(world):
    world.run(PING_MS - 1)
    world.now = world.pool.next_ms()
    world.pool.advance(world.now)
    world.now += 3_000
    world.deliver()
    world.run(3 * PING_MS)
    assert world.lost == []


def test_the_weights_share_the_calls():
    world = World(ONE._replace(weight=300), TWO)
    for _ in range(40):
        world.ask()
    world.deliver()
    assert Counter(world.answered()) == {"one": 30, "two": 10}
    assert world.answered()[:4].count("two") == 1, "not one after the other"


def test_one_without_weight_is_asked_where_no_other_works():
    world = World(ONE._replace(weight=0), TWO)
    world.ask()
    world.dead.add("two")
    world.ask()
    world.run(400)
    assert world.answered() == ["two", "one"]


def test_a_silent_one_is_asked_twice_then_the_next_all_with_one_cookie(world):
    world.dead.add("one")
    world.ask()
    world.run(1_000)
    assert world.of("offer") == [(0, "one"), (REPEAT_MS, "one"), (2 * REPEAT_MS, "two")]
    assert world.answered() == ["two"]
    cookies = [cookie for _, _, cookie, order in world.sent if order["command"] == "offer"]
    assert len(set(cookies)) == 1


def test_the_call_that_a_silent_one_may_have_made_is_ended_when_it_answers_again(world):
    world.dead.add("one")
    world.ask()
    world.calls["one"].add("vosd-1")
    world.run(400)
    world.dead.clear()
    world.run(5_000)
    assert world.calls == {"one": set(), "two": {"vosd-1"}}


def test_an_answer_that_comes_too_late_is_dropped(world):
    world.dead.add("one")
    world.ask()
    late = next((cookie for _, _, cookie, order in world.sent if order["command"] == "offer"))
    world.run(1_000)
    world.pool.received(f'{late} {{"result":"ok"}}'.encode(), ONE.host, ONE.port, world.now)
    assert world.answered() == ["two"]


def test_no_order_is_sent_for_longer_than_its_time_however_many_there_are():
    engines = [RtpEngine(f"engine {number}", f"192.0.2.{number}", 2_223) for number in range(10, 20)]
    world = World(*engines)
    world.dead |= {each.name for each in engines}
    world.ask()
    with capture_logs():
        world.run(WITHIN_MS + REPEAT_MS)
    assert [moment for moment, _ in world.of("offer")] == [*range(0, WITHIN_MS, REPEAT_MS)]
    assert world.answered() == [None]


def test_an_order_that_is_sent_again_is_looked_at_after_those_that_were_sent_before(world):
    world.dead |= {"one"}
    world.ask(engine="one")
    world.run(100)
    world.ask(engine="one")
    world.run(500)
    assert [moment for moment, _ in world.of("offer")] == [0, 100, REPEAT_MS, 100 + REPEAT_MS]
    assert world.answered() == [None, None]


def test_a_call_stays_with_its_rtpengine(world):
    world.ask(engine="two")
    world.dead.add("two")
    world.ask(RtpQuery(call="vosd-1"), engine="two")
    world.run(1_000)
    assert world.answered() == ["two", None]
    assert {name for _, name in world.of("query")} == {"two"}
    world.ask(engine="three")
    assert world.answered() == ["two", None, None], "there is no such one"


@pytest.mark.parametrize(
    "reply",
    [
        {"result": "load limit", "message": "load limit exceeded"},
        {"result": "error", "error-reason": "Ran out of ports"},
    ],
)
def test_a_full_one_sends_calls_to_the_next_and_stays_in_use(world, reply):
    world.results["one"] = reply
    world.ask()
    world.deliver()
    assert world.answered() == ["two"]
    world.results["two"] = reply
    world.ask()
    world.run(10_000)
    assert world.answered() == ["two", None]
    assert world.pool.states() == [("one", True), ("two", True)]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ({"result": "load limit", "message": "load limit exceeded"}, "load limit"),
        ({"result": "error", "error-reason": "Ran out of ports"}, "Ran out of ports"),
    ],
)
def test_a_call_that_all_refuse_because_they_are_full_is_reported_until_none_was_for_a_minute(world, reply, error):
    world.results = {"one": reply}
    with capture_logs() as logs:
        world.ask()
        world.run(1_000)
        assert not logs, "the next one has ports"
        world.results["two"] = reply
        for _ in range(3):
            world.ask()
            world.run(1_000)
        full = [line["rtpengine"] for line in logs]
        assert {(line["event"], line["error"]) for line in logs} == {("rtp_port_exhausted", error)}
        assert sorted(full) == ["one", "two"], "once a minute, by the last one that was asked"
        world.results.clear()
        world.ask()
        world.run(SETTLED_MS)
        assert len(logs) == 2, "there may be calls without ports yet"
        world.ask()
        world.run(1_000)
    assert [(line["event"], line["rtpengine"]) for line in logs[2:]] == [("rtp_ports_free", each) for each in full]
    with capture_logs() as logs:
        world.ask()
        world.run(1_000)
        world.results = {"one": reply, "two": reply}
        world.ask()
        world.run(1_000)
        world.pool.replace([], world.now)
    assert [line["event"] for line in logs] == ["rtp_port_exhausted", "rtp_ports_free"], "the full one is gone"


@pytest.mark.parametrize(
    ("kind", "has_other", "engine"),
    [(RtpOffer, True, "two"), (RtpOffer, False, "two"), (RtpAnswer, True, "two"), (RtpAnswer, False, None)],
)
def test_one_without_an_interface_of_the_address_family_is_as_one_without_ports(world, kind, has_other, engine):
    """It gives ports of the other family, which the reader of an offer may take, but not who has made the offer."""
    order = session_order(kind, "vosd-1", b"v=0\r\n", "a", "b", reader_host="2001:db8::20")
    for name in ("one", "two"):
        host = "IP6 2001:db8::6" if has_other and name == "two" else "IP4 192.0.2.5"
        world.results[name] = {"result": "ok", "sdp": f"v=0\r\nc=IN {host}\r\nm=audio 4000 RTP/AVP 0\r\n"}
    with capture_logs() as logs:
        world.ask(order)
        world.run(PING_MS)
    assert world.answered() == [engine]
    assert {name for _, name in world.of("delete")} == ({"one"} if engine else {"one", "two"})
    assert [(line["event"], line["error"]) for line in logs] == (
        [] if engine else [("rtp_port_exhausted", "no interface of IPv6")]
    )


SIX = session_order(RtpOffer, "vosd-1", b"v=0\r\n", "a", "b", reader_host="2001:db8::20")
HAS_FOUR = {"result": "ok", "sdp": "v=0\r\nc=IN IP4 192.0.2.5\r\nm=audio 4000 RTP/AVP 0\r\n"}


@pytest.mark.parametrize(
    "reply", [{"result": "load limit"}, {"result": "error"}, None], ids=["full", "error", "silent"]
)
def test_ports_of_the_other_family_are_taken_where_the_next_one_has_none(world, reply):
    world.results = {"one": HAS_FOUR, "two": reply}
    world.dead |= set() if reply else {"two"}
    with capture_logs() as logs:
        world.ask(SIX)
        world.run(WITHIN_MS)
        assert (world.answered(), world.answers[0].reply.sdp) == (["one"], HAS_FOUR["sdp"])
        world.dead.clear()
        world.run(2 * PING_MS)
    assert ("one" in {name for _, name in world.of("delete")}, logs) == (False, [])


def test_ports_of_the_other_family_are_given_back_where_the_order_is_withdrawn(world):
    world.results = {"one": HAS_FOUR}
    world.dead.add("two")
    cookie = world.ask(SIX)
    world.run(0)
    world.pool.cancel(cookie)
    world.dead.clear()
    world.run(2 * PING_MS)
    assert (world.answers, {name for _, name in world.of("delete")}) == ([], {"one", "two"})


@pytest.mark.parametrize("reply", [HAS_FOUR, {"result": "error", "error-reason": "Ran out of ports"}])
def test_ports_that_calls_have_not_taken_are_given_back_as_fast_as_calls_come(world, reply):
    """Each call of a busy hour may leave some: an rtpengine that kept them would be full of them."""
    world.results = {"one": reply, "two": {**HAS_FOUR, "sdp": HAS_FOUR["sdp"].replace("IP4 192.0.2.5", "IP6 ::5")}}
    for number in range(400):
        world.ask(msgspec.structs.replace(SIX, call=f"vosd-{number}"))
    world.run(PING_MS)
    assert set(world.answered()) == {"two"}
    orders = [
        (order["command"], order["call-id"]) for _, name, _, order in world.sent if name == "one" and "call-id" in order
    ]
    assert {call for command, call in orders if command == "delete"} == {call for command, call in orders}
    assert len([command for command, _ in orders if command == "offer"]) >= 200


def test_a_call_is_not_ended_while_another_invite_of_its_caller_asks_for_ports_there():
    """Telephones that ring together, one of them by IPv6: until the first answer all have the name of the caller."""
    live = set()
    world = World(ONE, TWO, prefix="vosd-", is_live=lambda *call: call in live)
    world.pool.begin(world.now)
    world.run(0)
    world.results = {"one": HAS_FOUR, "two": {**HAS_FOUR, "sdp": HAS_FOUR["sdp"].replace("IP4 192.0.2.5", "IP6 ::5")}}
    world.ask(SIX)
    world.run(PING_MS - 10)
    world.results["one"] = None
    world.ask(OFFER)
    world.ask(OFFER)
    world.run(20)
    world.results["one"] = HAS_FOUR
    world.run(REPEAT_MS)
    assert sorted(world.answered()) == ["one", "two", "two"]
    live |= {("one", "vosd-1"), ("two", "vosd-1")}
    world.run(2 * PING_MS)
    assert not world.of("delete")


def left_over(count=1):
    """Return a world of two rtpengines, and the names of calls that are left over at the first; some may go on."""
    live = set()
    world = World(ONE, TWO._replace(weight=0), prefix="vosd-", is_live=lambda engine, call: (engine, call) in live)
    world.pool.begin(world.now)
    world.run(0)
    world.results = {"one": HAS_FOUR, "two": {**HAS_FOUR, "sdp": HAS_FOUR["sdp"].replace("IP4 192.0.2.5", "IP6 ::5")}}
    for number in range(1, count + 1):
        world.ask(msgspec.structs.replace(SIX, call=f"vosd-{number}"))
    world.run(PING_MS - 10)
    assert not world.of("delete")
    return world, live


def test_left_over_calls_are_ended_one_after_the_other_and_no_more_than_a_socket_takes_are_asked_for_at_a_time():
    world, live = left_over(1_000)
    live |= {("one", "vosd-999"), ("two", "vosd-998")}
    world.now += 10
    world.pool.advance(world.now)
    most = 0
    while world._replies:
        world.pool.received(*world._replies.pop(0), world.now)
        most = max(most, world.pool.waiting)
    assert (most, len(world.of("delete"))) == (DELETES_AT_ONCE + 1, 999), "and the ping of the other one"
    world.run(3 * PING_MS)
    ended = [order["call-id"] for _, name, _, order in world.sent if order["command"] == "delete"]
    assert sorted(ended) == sorted(f"vosd-{number}" for number in range(1, 1_001) if number != 999)


def test_left_over_calls_that_a_silent_rtpengine_does_not_end_wait_for_its_next_ping():
    world, _ = left_over(200)
    world.now += 10
    world.pool.advance(world.now)
    world.dead.add("one")
    world.deliver()
    sent = len(world.of("delete"))
    world.run(PING_MS - 10)
    assert len(world.of("delete")) <= sent + DELETES_AT_ONCE, "sent once more, and no others in their place"
    world.dead.clear()
    world.run(2 * PING_MS)
    assert len({order["call-id"] for _, _, _, order in world.sent if order["command"] == "delete"}) == 200
    assert world.pool.waiting == 0
    deletes = len(world.of("delete"))
    world.run(2 * PING_MS)
    assert len(world.of("delete")) == deletes


@pytest.mark.parametrize("is_answered", [True, False], ids=["answered", "asked for"])
def test_no_end_of_a_left_over_call_is_sent_again_where_a_call_of_its_name_is_wanted_by_now(is_answered):
    """It would be behind the order for the ports: a call that is wanted would end."""
    world, live = left_over()
    world.now += 10
    world.pool.advance(world.now)
    world.dead.add("one")
    world.run(REPEAT_MS - 10)
    assert len(world.of("delete")) == 1
    world.dead.clear()
    if is_answered:
        live.add(("one", "vosd-1"))
    else:
        world.dead |= {"one", "two"}
        world.ask(OFFER)
    world.run(REPEAT_MS)
    assert len(world.of("delete")) == 1


def test_a_call_whose_end_is_not_answered_makes_no_rtpengine_one_to_be_avoided(world):
    world.dead.add("one")
    world.pool.forget("one", "vosd-1", world.now)
    world.run(PING_MS - 10)
    world.dead.clear()
    world.ask()
    world.ask()
    world.deliver()
    assert sorted(world.answered()) == ["one", "two"]
    assert world.of("delete") == [(0, "one"), (REPEAT_MS, "one")]


def test_ports_of_the_other_family_are_not_taken_from_one_that_is_gone(world):
    world.results = {"one": HAS_FOUR}
    world.dead.add("two")
    world.ask(SIX)
    world.run(0)
    world.pool.replace([TWO], world.now)
    world.run(WITHIN_MS)
    assert world.answered() == [None]


@pytest.mark.parametrize("above", ["IP4 192.0.2.10", "IP6 2001:db8::10"])
@pytest.mark.parametrize(
    ("medium", "engine"),
    [
        ("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 ::", "one"),
        ("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::6", "one"),
        ("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.5", None),
        ("m=audio 0 RTP/AVP 0\r\nc=IN IP4 192.0.2.5", "one"),
        ("m=message 4000 TCP/MSRP *\r\nc=IN IP4 192.0.2.10", "one"),
    ],
    ids=["held", "given", "other", "rejected", "not relayed"],
)
def test_the_address_family_is_that_of_relayed_media_whatever_stands_above_them(world, above, medium, engine):
    """An rtpengine leaves an address above all media as it is where each medium has its own."""
    for name in ("one", "two"):
        world.results[name] = {"result": "ok", "sdp": f"v=0\r\nc=IN {above}\r\n{medium}\r\n"}
    world.ask(session_order(RtpAnswer, "vosd-1", b"v=0\r\n", "a", "b", reader_host="2001:db8::20"))
    world.run(PING_MS)
    assert world.answered() == [engine]


def test_a_reply_that_names_no_address_of_the_other_family_is_not_read_as_a_description(world):
    """To read it costs more than all else that is done with a reply, and no other call has the same one."""
    read = media_of.cache_info()
    world.results["one"] = {"result": "ok", "sdp": "v=0\r\nc=IN IP4 192.0.2.5\r\nm=audio 4004 RTP/AVP 0\r\n"}
    world.ask(session_order(RtpOffer, "vosd-1", b"v=0\r\n", "a", "b", reader_host="192.0.2.20"))
    world.deliver()
    assert (world.answered(), media_of.cache_info()) == (["one"], read)


def test_the_use_of_ports_is_that_of_the_interface_with_the_most_as_the_last_ping_says(world):
    assert world.pool.ports_used() == []
    ports = {"min": 30_000, "max": 30_099, "used_pct": "0.00", "last": 0}
    shares = [{"name": name, "ports": {**ports, "used": used, "totals": 100}} for name, used in (("a", 12), ("b", 91))]
    world.statistics = {"one": {"interfaces": shares}, "two": {"interfaces": {"of": "another version"}}}
    world.run(PING_MS)
    assert world.pool.ports_used() == [("one", 91)]
    assert world.pool.states() == [("one", True), ("two", True)]
    world.dead.add("one")
    world.run(10_000)
    assert world.pool.ports_used() == [], "it is not known any more"


def test_an_error_is_an_answer(world):
    world.results["one"] = {"result": "error", "error-reason": "Failed to parse SDP"}
    world.ask()
    world.deliver()
    assert (world.answers[0].reply.result, world.answers[0].reply.error) == ("error", "Failed to parse SDP")


def test_one_that_is_lost_is_noticed_within_five_seconds_and_back_after_two_answers(world):
    world.run(PING_MS - 1)
    world.dead.add("one")
    lost_at = world.now
    with capture_logs() as logs:
        while not world.lost:
            world.run(50)
        assert world.lost == ["one"]
        assert world.now - lost_at < 5_000
        assert world.pool.is_usable
        world.ask()
        world.deliver()
        assert world.answered() == ["two"]
        world.dead.clear()
        while ("one", False) in world.pool.states():
            world.run(50)
    assert [each["event"] for each in logs] == ["rtpengine_down", "rtpengine_up"]
    assert world.lost == ["one"]


def test_one_lost_ping_changes_nothing(world):
    world.dead.add("one")
    world.run(PING_MS + 2 * REPEAT_MS)
    world.dead.clear()
    world.run(10 * PING_MS)
    assert (world.lost, world.pool.states()) == ([], [("one", True), ("two", True)])


def test_one_that_was_silent_to_an_order_is_asked_again_only_where_there_is_no_other(world):
    world.dead.add("one")
    world.ask()
    world.run(310)
    sent = len(world.of("offer"))
    world.ask()
    world.ask()
    assert [name for _, name in world.of("offer")[sent:]] == ["two", "two"]


def test_without_any_an_order_fails_at_once(world):
    world.dead |= {"one", "two"}
    world.run(2 * PING_MS + 1_000)
    assert not world.pool.is_usable
    world.ask()
    assert world.answered() == [None]
    assert world.of("offer") == []


def test_orders_to_one_that_is_lost_have_failed_at_once(world):
    world.dead.add("one")
    world.run(2 * PING_MS + 2 * REPEAT_MS - 20)
    world.ask(engine="one")
    world.run(19)
    assert world.answered() == []
    world.run(1)
    assert world.answered() == [None]


def test_an_order_that_is_withdrawn_as_another_to_a_lost_one_fails_is_not_answered(world):
    world.dead.add("one")
    world.run(2 * PING_MS + 2 * REPEAT_MS - 20)
    withdrawn = []
    world.pool.ask(OFFER, lambda _answer: world.pool.cancel(withdrawn[0]), world.now, engine="one")
    withdrawn.append(world.ask(engine="one"))
    world.run(20)
    assert (world.lost, world.answers, world.pool.waiting) == (["one"], [], 0)


def test_a_call_that_was_made_after_a_start_is_ended_where_the_start_was_noticed_before_the_answer(world):
    world.run(PING_MS - 1)
    world.started["one"] = world.now
    world.ask()
    assert world.calls["one"] == {"vosd-1"}
    world.drop()
    world.run(1)
    assert (world.lost, world.answered()) == (["one"], ["two"])
    world.run(PING_MS)
    assert world.calls == {"one": set(), "two": {"vosd-1"}}


def test_one_that_was_started_anew_between_two_pings_has_lost_its_calls(world):
    world.run(PING_MS)
    world.started["one"] = world.now
    world.run(PING_MS)
    assert world.lost == ["one"]
    assert world.pool.states()[0] == ("one", True)
    world.run(10 * PING_MS)
    assert world.lost == ["one"]


def test_calls_of_an_earlier_process_are_ended_and_those_of_others_stay():
    world = World(ONE, prefix="vosd-", is_live=lambda engine, call: call == "vosd-live")
    world.calls["one"] |= {"vosd-live", "vosd-old", "other-1", *(f"vosd-old-{number}" for number in range(100))}
    world.pool.begin(world.now)
    world.run(PING_MS)
    assert world.calls["one"] == {"vosd-live", "other-1"}


def test_a_call_that_is_there_again_is_not_ended():
    live = set()
    world = World(ONE, TWO, prefix="vosd-", is_live=lambda engine, call: (engine, call) in live)
    world.pool.begin(world.now)
    world.run(0)
    world.dead.add("one")
    world.ask()
    world.run(400)
    world.dead.clear()
    world.calls["one"].add("vosd-1")
    live |= {("one", "vosd-1"), ("two", "vosd-1")}
    world.run(10_000)
    assert world.calls == {"one": {"vosd-1"}, "two": {"vosd-1"}}


def test_a_call_is_ended_at_one_that_cannot_be_reached_when_it_can(world):
    world.ask()
    world.deliver()
    world.dead.add("one")
    world.pool.forget("one", "vosd-1", world.now)
    world.run(10_000)
    assert world.calls["one"] == {"vosd-1"}
    world.dead.clear()
    world.run(10_000)
    assert world.calls["one"] == set()
    deletes = len(world.of("delete"))
    world.run(10_000)
    assert len(world.of("delete")) == deletes, "once it has answered, it is not asked again"


def test_a_withdrawn_order_is_not_answered_and_leaves_no_call(world):
    cookie = world.ask()
    world.pool.cancel(cookie)
    world.run(3 * PING_MS)
    assert world.answers == []
    assert world.calls["one"] == set()


@pytest.mark.parametrize(("is_full", "after_ms"), [(False, 2 * REPEAT_MS + 10), (True, 10)])
def test_an_order_that_is_withdrawn_while_the_next_one_is_asked_leaves_no_call_there(world, is_full, after_ms):
    world.dead |= {"two"} if is_full else {"one", "two"}
    world.results["one"] = {"result": "load limit", "message": "load limit exceeded"}
    cookie = world.ask()
    world.run(after_ms)
    assert world.of("offer")[-1][1] == "two"
    world.pool.cancel(cookie)
    world.calls["two"].add("vosd-1")
    world.pool.received(f'{cookie} {{"result":"ok"}}'.encode(), TWO.host, TWO.port, world.now)
    world.dead.clear()
    world.run(PING_MS)
    assert world.answers == []
    assert [name for _, name in world.of("delete") if name == "two"] == ["two"]
    assert world.calls["two"] == set()


def test_replies_of_others_are_dropped(world):
    cookie = world.ask()
    for datagram, host, port in [
        (f'{cookie} {{"result":"ok"}}', "192.0.2.99", 2_223),
        (f'{cookie} {{"result":"ok"}}', ONE.host, 2_224),
        (f"{cookie} d6:result2:oke", ONE.host, ONE.port),
        ('t-999 {"result":"ok"}', ONE.host, ONE.port),
        ("", ONE.host, ONE.port),
        (f"{cookie}", ONE.host, ONE.port),
        (f'{cookie} {{"result":5}}', ONE.host, ONE.port),
    ]:
        world.pool.received(datagram.encode(), host, port, world.now)
    world.pool.received(b"\xff\xfe {}", ONE.host, ONE.port, world.now)
    assert world.answers == []
    world.deliver()
    assert world.answered() == ["one"]


def test_another_pool_is_used_from_a_reload_on(world):
    moved = ONE._replace(host="192.0.2.7")
    world.hosts["192.0.2.7"] = moved
    world.dead.add("one")
    world.ask(RtpDelete(call="x", delay_s=0), engine="one")
    world.pool.replace([moved, TWO._replace(weight=1)], world.now)
    assert (world.lost, world.answered()) == (["one"], [None])
    world.dead.clear()
    world.ask()
    world.deliver()
    assert world.answered() == [None, "one"]


@pytest.mark.parametrize("after", [[TWO], [ONE._replace(host="192.0.2.7"), TWO]], ids=["removed", "moved"])
def test_one_that_is_lost_and_gone_is_no_alarm(world, after):
    world.dead.add("one")
    with capture_logs() as logs:
        world.run(5_000)
        world.pool.replace(after, world.now)
        world.pool.replace([ONE, TWO], world.now)
    told = [(each["event"], each["rtpengine"], each.get("why")) for each in logs]
    assert told == [("rtpengine_down", "one", None), ("rtpengine_up", "one", "gone")]


@pytest.mark.parametrize(
    ("trust", "seen_at", "flags"),
    [
        (MediaTrust.LEARN, None, ["endpoint-learning-off"]),
        (MediaTrust.SDP, "2001:db8::9", ["endpoint-learning-off"]),
        (MediaTrust.ANY, "2001:db8::9", ["endpoint-learning-immediate"]),
        (MediaTrust.LEARN, "2001:db8::9", ["endpoint-learning-heuristic", "SIP source address"]),
    ],
)
def test_the_form_of_an_offer(trust, seen_at, flags):
    session = b"v=0\r\ns=\xe9\xff\r\n"
    order = session_order(RtpOffer, "c", session, "a", "b", trust=trust, seen_at=seen_at, reader_host="::1", tos=160)
    written = msgspec.json.decode(msgspec.json.encode(order))
    assert written.pop("received from", None) == (["IP6", seen_at] if "SIP source address" in flags else None)
    assert written.pop("sdp").encode("latin-1") == session
    assert written == {
        "command": "offer", "call-id": "c", "from-tag": "a", "to-tag": "b", "via-branch": "b", "ICE": "remove",
        "replace": ["origin"], "flags": ["strict source", "port latching", *flags], "address family": "IP6",
        "rtcp-mux": ["demux"], "TOS": 160, "supports": ["load limit"],
    }  # fmt: skip


def refuse(world, order):
    """Have an rtpengine refuse an order because it knows no leg of that tag."""
    world.results["one"] = {"result": "error", "error-reason": "From-tag given, but no such tag exists"}
    world.ask(order, engine="one")
    world.run(0)
    del world.results["one"]


def test_a_leg_is_named_behind_the_offer_that_makes_it_where_a_block_of_one_was_refused(world):
    refuse(world, RtpBlock(call="vosd-1", leg="b"))
    for is_new in (True, False):
        world.ask(session_order(RtpOffer, "vosd-1", b"v=0\r\n", "a", "b", is_new=is_new), engine="one")
    world.ask(OFFER, engine="two")
    world.run(0)
    orders = [(name, order["command"]) for _, name, _, order in world.sent if "from-tag" in order]
    assert orders[1:] == [("one", "offer"), ("one", "answer"), ("one", "offer"), ("two", "offer")]
    (named,) = [order for *_, order in world.sent if order["command"] == "answer"]
    assert (named["from-tag"], named["to-tag"], named["via-branch"]) == ("a", "b", "b")
    assert "m=" not in named["sdp"]


@pytest.mark.parametrize(("kind", "is_new_start"), [(RtpBlock, True), (RtpUnblock, False)])
def test_no_leg_is_named_where_a_later_start_has_refused_no_block(world, kind, is_new_start):
    refuse(world, kind(call="vosd-1", leg="b"))
    if is_new_start:
        world.started["one"] = world.now
        world.run(2 * PING_MS)
    world.ask(session_order(RtpOffer, "vosd-2", b"v=0\r\n", "a", "b", is_new=True), engine="one")
    world.run(0)
    assert len(world.of("offer")) == 1
    assert world.of("answer") == []


def test_an_order_to_block_a_leg_says_that_it_is_about_that_leg_alone():
    for kind, command in ((RtpBlock, "block media"), (RtpUnblock, "unblock media")):
        written = msgspec.json.decode(msgspec.json.encode(kind(call="c", leg="a")))
        assert written == {"command": command, "call-id": "c", "from-tag": "a", "flags": ["directional"]}


@pytest.mark.parametrize(
    ("keys", "is_opaque"),
    [
        ("", False),
        (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}\r\n", False),
        (f"a=crypto:6 AES_192_CM_HMAC_SHA1_80 inline:{51 * 'A'}=\r\n", False),
        (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}|0\r\n", True),
        (f"a=crypto:1 AEAD_AES_256_GCM_8 inline:{59 * 'A'}=\r\n", True),
        (f"a=crypto:2 AES_CM_128_NULL_AUTH inline:{40 * 'A'}\r\n", True),
        (f"a=fingerprint:sha-256 {':'.join(['4A'] * 32)}\r\na=setup:actpass\r\n", True),
    ],
)
def test_packets_pass_as_they_are_where_the_rtpengine_cannot_know_the_keys(keys, is_opaque):
    session = b"v=0\r\nm=audio 4000 RTP/SAVP 0\r\n" + keys.encode()
    for kind in (RtpOffer, RtpAnswer):
        order = session_order(kind, "c", session, "a", "b")
        assert ("passthrough" in order.flags) is is_opaque
        assert ("no-passthrough" in order.flags) is (kind is RtpOffer and bool(keys) and not is_opaque)
        assert order.rtcp_mux == (() if is_opaque else ("demux",))
    form = MediaForm(None, Protection.SDES, author_ice=False, reader_ice=False)
    flags = session_order(RtpOffer, "c", session, "a", "b", form=form).flags
    assert "passthrough" not in flags
    assert "no-passthrough" in flags


def test_orders_with_ice_leave_out_the_flag_by_which_an_rtpengine_takes_no_part_in_it():
    for sides in ((True, False), (False, True)):
        form = MediaForm(None, Protection.SDES, *sides)
        assert "no-passthrough" not in session_order(RtpOffer, "c", b"v=0\r\n", "a", "b", form=form).flags

"""The pool with real rtpengines: whose ports stay, who is heard, and what a kill, a pause and a full one change."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from doubles.data.odd_sessions import ODD, written
from doubles.sockets.loopback import Endpoint
from doubles.sockets.relay import until
from doubles.sockets.rtp import RtpPeer
from doubles.sockets.waiting import readable
from e2e.addresses import NETWORK

from vosd.media.rtpengine_orders import (
    EngineAnswer,
    RtpAnswer,
    RtpBlock,
    RtpList,
    RtpOffer,
    RtpOrder,
    RtpQuery,
    RtpReply,
    RtpUnblock,
    session_order,
)
from vosd.rtpengine import pool as pool_module
from vosd.rtpengine.client import RtpEngines
from vosd.sdp.media import Medium, media_of
from vosd.sdp.ordered import ordered
from vosd.trunks.media import MediaTrust

from .rtpengine import Rtpengine

ONE, TWO = Endpoint(f"{NETWORK}.71", 2_223), Endpoint(f"{NETWORK}.72", 2_223)
CALLER, CALLEE, OTHER, ATTACKER = (f"{NETWORK}.{number}" for number in (73, 74, 75, 76))
CS5 = 0xA0
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtpengine]:
    with Rtpengine(tmp_path_factory.mktemp("one"), "one", ONE, (20_000, 20_199)) as engine:
        yield engine


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Rtpengine]:
    """The second one, which a test may kill."""
    with Rtpengine(tmp_path, "two", TWO, (20_000, 20_199)) as engine:
        yield engine


class Pool:
    """The pool of the switch, and what it reports."""

    def __init__(self, *engines: Rtpengine) -> None:
        self.lost: list[str] = []
        self.live: set[str] = set()
        self.engines = RtpEngines(
            [each.config for each in engines],
            lost=self.lost.append,
            is_live=lambda _engine, call: call in self.live,
            prefix="vosd-",
        )

    async def ask(self, order: RtpOrder, engine: str | None = None) -> EngineAnswer | None:
        answered: asyncio.Future[EngineAnswer | None] = asyncio.get_running_loop().create_future()
        self.engines.ask(order, answered.set_result, engine=engine)
        return await answered

    async def replied(self, order: RtpOrder, engine: str | None = None) -> RtpReply:
        answer = await self.ask(order, engine)
        assert answer is not None
        assert answer.reply.result == "ok", answer
        return answer.reply

    async def medium(self, order: RtpOrder, engine: str | None = None) -> Medium:
        """Return the place of the first medium of a rewritten description."""
        return media_of((await self.replied(order, engine)).session)[0]


Pools = Callable[..., Pool]


@pytest.fixture
async def pools() -> AsyncIterator[Pools]:
    """Make pools, which are closed in the end."""
    made: list[Pool] = []

    def make(*engines: Rtpengine) -> Pool:
        made.append(Pool(*engines))
        return made[-1]

    yield make
    for each in made:
        each.engines.close()


@pytest.fixture
async def pool(pools: Pools, one: Rtpengine) -> Pool:
    return pools(one)


def offered_by(peer: RtpPeer, *lines: str) -> bytes:
    address = f"IN IP{6 if ':' in peer.host else 4} {peer.host}"
    head = ("v=0", f"o=- 1 1 {address}", "s=caf\u00e9", f"c={address}", "t=0 0", f"m=audio {peer.port} RTP/AVP 0 101")
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


@pytest.fixture
def peers() -> Iterator[list[RtpPeer]]:
    made = [RtpPeer(host, ssrc=number) for number, host in enumerate((CALLER, CALLEE, OTHER, ATTACKER), start=1)]
    yield made
    for each in made:
        each.close()


def heard(peer: RtpPeer) -> set[int]:
    """Return the streams that a peer has received, once something is there."""
    readable([peer.sock], PATIENCE_S)
    return streams(peer)


def streams(peer: RtpPeer) -> set[int]:
    return {int.from_bytes(packet[8:12], "big") for packet in peer.taken()}


async def test_a_port_belongs_to_its_leg_through_forks_and_new_offers(pool: Pool, peers: list[RtpPeer]) -> None:
    caller, callee, other, _ = peers
    first = await pool.medium(session_order(RtpOffer, "forks", offered_by(caller), "a", "b"))
    towards_caller = await pool.medium(session_order(RtpAnswer, "forks", offered_by(callee), "a", "b"), "one")
    second = await pool.medium(session_order(RtpOffer, "forks", offered_by(caller), "a", "c"), "one")
    assert second.port != first.port
    again = await pool.medium(session_order(RtpAnswer, "forks", offered_by(other), "a", "c"), "one")
    assert again == towards_caller
    held = await pool.medium(session_order(RtpOffer, "forks", offered_by(other, "a=sendonly"), "c", "a"), "one")
    assert (held.port, held.direction) == (towards_caller.port, "sendonly")
    assert (
        await pool.medium(session_order(RtpAnswer, "forks", offered_by(caller), "c", "a"), "one")
    ).port == second.port


@pytest.mark.parametrize("answers", ["b", "c"])
async def test_of_two_sides_that_ring_the_one_is_heard_that_answers_and_until_then_nothing(
    pool: Pool, peers: list[RtpPeer], answers: str
) -> None:
    caller, *others, attacker = peers
    call, before = f"rings-{answers}", f"before-{answers}"
    await pool.replied(session_order(RtpOffer, before, offered_by(caller), "a", "b"))
    await pool.ask(RtpBlock(call=before, leg="b"), "one")  # shows whether it knows its leg
    offers = [session_order(RtpOffer, call, offered_by(caller), "a", leg) for leg in ("b", "c")]
    ports = [await pool.medium(offer, "one") for offer in offers]
    for leg in ("b", "c"):
        await pool.replied(RtpBlock(call=call, leg=leg), "one")
    assert [await pool.medium(offer, "one") for offer in offers] == ports
    for port in ports:
        attacker.send((port.host, port.port), 5)
    side, of_side = (others[0], ports[0]) if answers == "b" else (others[1], ports[1])
    of_caller = await pool.medium(session_order(RtpAnswer, call, offered_by(side), "a", answers), "one")
    await pool.replied(RtpUnblock(call=call, leg=answers), "one")
    side.send((of_side.host, of_side.port), 5)
    caller.send((of_caller.host, of_caller.port), 5)
    assert heard(caller) == {side.ssrc}
    assert heard(side) == {caller.ssrc}


@pytest.mark.parametrize("name", ODD)
async def test_a_description_in_order_is_read_and_keeps_its_media(pool: Pool, name: str) -> None:
    """As it came, it is refused, or answered without a description."""
    odd = written(*ODD[name])
    answer = await pool.ask(session_order(RtpOffer, f"odd-{name}", odd, "a", "b"))
    assert answer is not None
    assert not answer.reply.sdp
    medium = await pool.medium(session_order(RtpOffer, f"order-{name}", ordered(odd), "a", "b"))
    assert (medium.kind, medium.payloads, medium.direction) == ("audio", (0, 101), "sendonly")


async def test_media_of_a_second_answer_pass_as_they_are_behind_the_offer_again(
    pool: Pool, peers: list[RtpPeer]
) -> None:
    """Without it the codec of the second answer is converted into that of the first one."""
    caller, callee, *_ = peers
    offer = session_order(RtpOffer, "codecs", offered_by(caller).replace(b"AVP 0 101", b"AVP 0 8"), "a", "b")
    of_callee = await pool.medium(offer)
    for payload in (0, 8):
        answer = offered_by(callee).replace(b"AVP 0 101", b"AVP %d" % payload)
        await pool.replied(session_order(RtpAnswer, "codecs", answer, "a", "b"), "one")
        callee.send((of_callee.host, of_callee.port), payload=payload)
        readable([caller.sock], PATIENCE_S)
        assert {packet[1] & 0x7F for packet in caller.taken()} == {payload}
        await pool.replied(offer, "one")


async def test_a_leg_is_connected_with_the_author_of_its_latest_offer_alone(pool: Pool, peers: list[RtpPeer]) -> None:
    """So it is for one that consults: the offer of the target is not followed by one to the side that waits."""
    caller, callee, target, _ = peers
    offer, answer = offered_by(caller), offered_by(callee)
    await pool.replied(session_order(RtpOffer, "rings", offer, "a", "b"))
    await pool.ask(RtpBlock(call="rings", leg="b"), "one")  # shows whether it knows its leg
    await pool.replied(session_order(RtpOffer, "consults", offer, "a", "b"), "one")
    of_caller = await pool.medium(session_order(RtpAnswer, "consults", answer, "a", "b"), "one")
    of_target = await pool.medium(session_order(RtpOffer, "consults", offer, "a", "c"), "one")
    of_callee = await pool.medium(session_order(RtpOffer, "consults", offer, "a", "b", is_new=False), "one")
    await pool.replied(session_order(RtpAnswer, "consults", answer, "a", "b"), "one")
    await pool.replied(session_order(RtpOffer, "consults", offered_by(target), "c", "a", is_new=False), "one")
    again = session_order(RtpOffer, "consults", offer, "a", "c", is_new=False)
    for order in (None, again):
        if order is not None:
            await pool.replied(order, "one")
        await pool.replied(RtpBlock(call="consults", leg="b"), "one")
        for peer, port in ((caller, of_caller), (callee, of_callee), (target, of_target)):
            peer.send((port.host, port.port), 5)
        assert heard(target) == {caller.ssrc}
        assert heard(caller) == {target.ssrc}
        assert streams(callee) == set()


@pytest.mark.parametrize("is_refreshed", [False, True])
async def test_media_go_to_the_place_of_a_last_answer_behind_offers_of_both_sides(
    pool: Pool, peers: list[RtpPeer], is_refreshed: bool
) -> None:
    """Behind a transfer either side is offered the answer of the other; a refresh gives the last answer once more."""
    party, target, moved, _ = peers
    call = f"moves-{is_refreshed}"
    await pool.replied(session_order(RtpOffer, call, offered_by(party), "a", "b"))
    of_party = await pool.medium(session_order(RtpAnswer, call, offered_by(target), "a", "b"), "one")
    for author, legs in ((target, "ba"), (party, "ab"), (target, "ba"), (target, "ba")):
        offer = session_order(RtpOffer, call, offered_by(author), *legs, is_new=False)
        of_reader = await pool.medium(offer, "one")
    assert of_reader == of_party
    answer = session_order(RtpAnswer, call, offered_by(moved), "b", "a")
    for _ in range(1 + is_refreshed):
        of_target = await pool.medium(answer, "one")
    target.send((of_target.host, of_target.port), 5)
    assert heard(moved) == {target.ssrc}
    assert streams(party) == set()
    moved.send((of_party.host, of_party.port), 5)
    assert heard(target) == {moved.ssrc}


async def test_a_party_of_another_family_is_reached_once_an_offer_of_the_other_side_has_turned_its_port(
    pools: Pools, peers: list[RtpPeer], tmp_path: Path
) -> None:
    caller, callee, *_ = peers
    with (
        Rtpengine(tmp_path, "both", TWO, (20_000, 20_199), also=("::1",)) as both,
        closing(RtpPeer("::1", ssrc=6)) as six,
    ):
        pool, v4, v6 = pools(both), CALLER, "::1"
        await pool.replied(session_order(RtpOffer, "turns", offered_by(caller), "a", "b", reader_host=v4))
        await pool.replied(session_order(RtpAnswer, "turns", offered_by(callee), "a", "b", reader_host=v4), "both")
        for moved, host in ((six, v6), (caller, v4)):
            turned = session_order(RtpOffer, "turns", offered_by(callee), "b", "a", reader_host=host, turns=True)
            assert (await pool.medium(turned, "both")).host == (v6 if moved is six else TWO.host)
            offer = session_order(RtpOffer, "turns", offered_by(moved), "a", "b", reader_host=v4)
            of_callee = await pool.medium(offer, "both")
            answer = session_order(RtpAnswer, "turns", offered_by(callee), "a", "b", reader_host=host)
            of_moved = await pool.medium(answer, "both")
            for peer in (moved, callee):
                peer.taken()
            callee.send((of_callee.host, of_callee.port), 5)
            assert heard(moved) == {callee.ssrc}
            moved.send((of_moved.host, of_moved.port), 5)
            assert heard(callee) == {moved.ssrc}
        for host in (v6, v4):  # the offer of the other family is refused
            turned = session_order(RtpOffer, "turns", offered_by(callee), "b", "a", reader_host=host, turns=True)
            back = await pool.medium(turned, "both")
        assert back == of_moved


async def test_one_without_an_interface_of_the_address_family_gives_ports_of_the_other_one(
    pool: Pool, peers: list[RtpPeer]
) -> None:
    caller, callee, *_ = peers
    offer = session_order(RtpOffer, "six", offered_by(caller), "a", "b", reader_host="::1")
    assert (await pool.medium(offer)).host == ONE.host, "its reader may take the other family, too"
    assert (
        await pool.ask(session_order(RtpAnswer, "six", offered_by(callee), "a", "b", reader_host="::1"), "one") is None
    )


async def test_a_medium_that_is_held_by_its_own_address_has_ports_toward_the_other_family(
    pools: Pools, peers: list[RtpPeer], tmp_path: Path
) -> None:
    """10.5.3 leaves the address above all media as it is."""
    held = offered_by(peers[0], "c=IN IP4 0.0.0.0")
    with Rtpengine(tmp_path, "both", TWO, (20_000, 20_199), also=("::1",)) as both:
        reply = await pools(both).replied(session_order(RtpOffer, "held", held, "a", "b", reader_host="::1"))
        assert [each and each.host for each in reply.places] == ["::"]


async def test_lines_that_are_not_about_addresses_come_back_byte_for_byte(pool: Pool, peers: list[RtpPeer]) -> None:
    session = offered_by(peers[0], "a=x-secret:\u00e9", "a=candidate:1 1 UDP 1 10.0.0.1 4000 typ host")
    session += b"a=x-raw:\xff\xfe\r\n"
    written = (await pool.replied(session_order(RtpOffer, "bytes", session, "a", "b"))).session
    assert "s=caf\u00e9\r\n".encode() in written
    assert b"a=x-raw:\xff\xfe\r\n" in written
    assert b"candidate" not in written
    assert CALLER.encode() not in written


async def test_media_pass_with_their_mark_and_others_neither_hear_nor_are_heard(
    pool: Pool, peers: list[RtpPeer]
) -> None:
    caller, callee, _, attacker = peers
    callee.sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    of_callee = await pool.medium(session_order(RtpOffer, "media", offered_by(caller), "a", "b", tos=CS5))
    of_caller = await pool.medium(session_order(RtpAnswer, "media", offered_by(callee), "a", "b", tos=CS5), "one")
    to_caller, to_callee = (ONE.host, of_callee.port), (ONE.host, of_caller.port)
    for target in (to_caller, to_callee):
        attacker.send(target, 20)
    caller.send(to_callee)
    callee.send(to_caller)
    assert heard(caller) == {callee.ssrc}
    assert readable([callee.sock], PATIENCE_S)
    packet, marks, _, _ = callee.sock.recvmsg(2_048, 64)
    assert int.from_bytes(packet[8:12], "big") == caller.ssrc
    assert marks[0][2][0] == CS5
    attacker.send(to_callee, 20)
    caller.send(to_callee, 5)
    assert heard(callee) == {caller.ssrc}
    assert streams(attacker) == set()
    query = await pool.replied(RtpQuery(call="media"), "one")
    stream = query.tags["a"].medias[0].streams[0]
    assert (stream.local_port, stream.endpoint.address, stream.endpoint.port) == (to_callee[1], CALLER, caller.port)
    assert stream.stats.errors >= 20


async def test_a_peer_behind_nat_is_expected_where_its_sip_comes_from(pool: Pool, peers: list[RtpPeer]) -> None:
    """The description has an address of its own network; the port is learned."""
    caller, callee, _, _ = peers
    private = offered_by(caller).replace(CALLER.encode(), b"10.0.0.7").replace(str(caller.port).encode(), b"4000")
    of_callee = await pool.medium(session_order(RtpOffer, "nat", private, "a", "b", seen_at=CALLER))
    of_caller = await pool.medium(session_order(RtpAnswer, "nat", offered_by(callee), "a", "b"), "one")
    caller.send((ONE.host, of_caller.port), 3)
    assert heard(callee) == {caller.ssrc}
    callee.send((ONE.host, of_callee.port), 3)
    assert heard(caller) == {callee.ssrc}


async def test_the_first_that_sends_is_believed_where_that_is_wanted(pool: Pool, peers: list[RtpPeer]) -> None:
    caller, callee, other, _ = peers
    offer = session_order(RtpOffer, "any", offered_by(caller), "a", "b", trust=MediaTrust.ANY)
    of_callee = await pool.medium(offer)
    of_caller = await pool.medium(session_order(RtpAnswer, "any", offered_by(callee), "a", "b"), "one")
    other.send((ONE.host, of_caller.port), 3)
    assert heard(callee) == {other.ssrc}
    callee.send((ONE.host, of_callee.port), 3)
    assert heard(other) == {callee.ssrc}


async def test_a_killed_one_is_noticed_and_others_take_its_calls(
    pools: Pools, one: Rtpengine, two: Rtpengine, peers: list[RtpPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "REPEAT_MS", 1_500)  # on a busy machine a living one takes longer than 150 ms
    pool = pools(two, one)
    pool.engines.begin()
    offer = session_order(RtpOffer, "vosd-kill", offered_by(peers[0]), "a", "b")
    first = await pool.ask(offer)
    assert first is not None
    assert first.engine == "two"
    two.kill()
    second = await pool.ask(offer)
    assert second is not None
    assert second.engine == "one"
    await until(lambda: pool.lost == ["two"])
    await until(lambda: pool.engines.states() == [("two", False), ("one", True)])
    two.start_anew()
    await until(lambda: pool.engines.states() == [("two", True), ("one", True)])
    assert await pool.ask(offer, "two") is not None


async def test_one_that_was_started_anew_at_once_has_lost_its_calls(
    pools: Pools, two: Rtpengine, peers: list[RtpPeer]
) -> None:
    pool = pools(two)
    pool.engines.begin()
    offer = session_order(RtpOffer, "vosd-anew", offered_by(peers[0]), "a", "b")
    await pool.replied(offer)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await until(lambda: loop.time() > began + 2.5)
    two.kill()
    two.start_anew()
    await until(lambda: pool.lost == ["two"])
    assert pool.engines.is_usable


async def test_calls_of_an_earlier_switch_and_of_lost_answers_are_ended(
    pools: Pools, one: Rtpengine, two: Rtpengine, peers: list[RtpPeer]
) -> None:
    session = offered_by(peers[0])
    earlier = pools(two)
    for call in ("vosd-1", "vosd-2", "other-1"):
        await earlier.replied(session_order(RtpOffer, call, session, "a", "b"))
    earlier.engines.close()
    pool = pools(two, one)
    pool.live.add("vosd-2")
    pool.engines.begin()

    async def until_calls(wanted: set[str]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while {*(await pool.replied(RtpList(limit=10), "two")).calls} != wanted:
                pass

    await until_calls({"vosd-2", "other-1"})
    two.pause()
    answer = await pool.ask(session_order(RtpOffer, "vosd-3", session, "a", "b"))
    two.go_on()
    assert answer is not None
    assert answer.engine == "one"
    await until_calls({"vosd-2", "other-1"})


async def test_the_answer_to_the_end_of_a_call_of_two_legs_has_its_figures(pool: Pool, peers: list[RtpPeer]) -> None:
    """A third leg would stay: the switch asks for its figures first. 10.5.3 has none without a leg.

    The next version of rtpengine may do otherwise: this is what ``RtpEngineCalls`` relies on.
    """
    caller, callee, *_ = peers

    async def ended(call: str, leg: str) -> RtpReply:
        answered: asyncio.Future[EngineAnswer | None] = asyncio.get_running_loop().create_future()
        pool.engines.forget("one", call, leg, answered.set_result)
        answer = await answered
        assert answer is not None
        return answer.reply

    async def is_there(call: str) -> bool:
        answer = await pool.ask(RtpQuery(call=call), "one")
        return answer is not None and answer.reply.result == "ok"

    for leg in ("1", "2", ""):
        await pool.medium(session_order(RtpOffer, "figures", offered_by(caller), "1", "2"))
        to_callee = await pool.medium(session_order(RtpAnswer, "figures", offered_by(callee), "1", "2"), "one")
        caller.send((ONE.host, to_callee.port), 7)
        assert heard(callee) == {caller.ssrc}
        reply = await ended("figures", leg)
        assert not await is_there("figures")
        if leg:
            assert reply.tags.keys() == {"1", "2"}
            assert reply.tags["1"].medias[0].streams[0].stats.packets == 7
    for reader in ("2", "3"):
        await pool.medium(session_order(RtpOffer, "figures", offered_by(caller), "1", reader))
    await ended("figures", "3")
    assert await is_there("figures")
    await ended("figures", "")
    assert not await is_there("figures")


@pytest.mark.parametrize(("last_port", "options"), [(20_003, ()), (20_999, ("--max-sessions=1",))])
async def test_a_full_one_sends_calls_to_the_next(
    pools: Pools, one: Rtpengine, tmp_path: Path, peers: list[RtpPeer], last_port: int, options: tuple[str, ...]
) -> None:
    """Four ports are enough for one call."""
    session = offered_by(peers[0])
    with Rtpengine(tmp_path, "small", TWO, (20_000, last_port), options=options) as small:
        pool = pools(small, one)
        offers = [session_order(RtpOffer, f"full-{number}", session, "a", "b") for number in range(4)]
        engines = [answer and answer.engine for answer in [await pool.ask(offer) for offer in offers]]
        assert engines == ["small", "one", "one", "one"]

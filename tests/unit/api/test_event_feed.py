"""Live events for clients of the API: one stream from the switch, a bounded ring, and who sees what."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
import pytest
from doubles.data.builders import account
from doubles.live_events import balance_low, call_ended, gateway_down
from doubles.office import agent, customer, office_on, operator
from msgspec.structs import replace

from vosd.admin.office.events import EventView, WatchEvents, follow_events, for_agents, view_events
from vosd.admin.office.jobs import JobSheet, job_event
from vosd.admin.office.principal import Means, OrderError, Permission, Principal
from vosd.admin.office.tokens import UnauthorizedError
from vosd.api import feed as feeds, streams
from vosd.api.feed import EventFeed
from vosd.api.http import Answer, RequestError, send_answer
from vosd.api.streams import CLIENTS_MAX, OF_ACCOUNTS_MAX, OF_ONE_MAX, StreamPlaces, live_answer
from vosd.billing.authority import OutOfScopeError
from vosd.cdr.ports import StoreUnavailable
from vosd.control.client import NoDaemonError
from vosd.control.events import AlarmRaised, CallEnded, EventBatch, EventType, LiveEvent, StreamFacts, StreamGap
from vosd.control.installation import AlarmRow
from vosd.storage.jobs import JobState, StoredJob

ACCOUNTS = (account("south", rights=frozenset()), account("acme", agent="south"), account("other"))


class Source:
    """The switch: it reports what the test puts, and goes away when it is told so."""

    def __init__(self) -> None:
        self.followers = 0
        self.opened = 0
        self.is_there = True
        self._batches: asyncio.Queue[EventBatch | None] = asyncio.Queue()

    def put(self, *events: LiveEvent, left_out: int = 0) -> None:
        self._batches.put_nowait(EventBatch(list(events), left_out))

    def go(self) -> None:
        self.is_there = False
        self._batches.put_nowait(None)

    async def follow(self, _order: object) -> AsyncGenerator[EventBatch, None]:
        if not self.is_there:
            raise NoDaemonError("no switch runs")
        self.followers += 1
        self.opened += 1
        try:
            yield EventBatch([], 0)
            while (batch := await self._batches.get()) is not None:
                yield batch
        finally:
            self.followers -= 1


def event(number: int) -> CallEnded:
    return call_ended(seq=number)


def job(state: JobState) -> LiveEvent[JobSheet]:
    stored = StoredJob(id=7, kind="bulk", subject="", login="ann", means="terminal", who="", order="", queued_at=0)
    event = job_event(replace(stored, state=state), 0)
    assert event is not None
    return event


async def admitted() -> EventView:
    return EventView(frozenset(EventType), None, None, None)


@pytest.fixture
async def source() -> Source:
    return Source()


@pytest.fixture
async def feed(source: Source, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[EventFeed, None]:
    monkeypatch.setattr(feeds, "RETRY_S", 0.01)
    made = EventFeed(lambda: source, ring=100)  # type: ignore[arg-type,return-value]
    yield made
    made.close()


class Client:
    """A client of a stream: it reads what is sent, or nothing more."""

    def __init__(self) -> None:
        self.text = b""
        self.reads = asyncio.Event()
        self.reads.set()
        self.closed = asyncio.Event()
        self._got = asyncio.Condition()

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.text += message.get("body", b"")
        async with self._got:
            self._got.notify_all()

    async def receive(self) -> Any:
        await self.closed.wait()
        return {"type": "http.disconnect"}

    @property
    def events(self) -> list[tuple[str, Any]]:
        found = []
        for block in self.text.decode().split("\n\n"):
            lines = dict(line.partition(": ")[::2] for line in block.split("\n") if ": " in line)
            if "data" in lines:
                found.append((lines["event"], msgspec.json.decode(lines["data"])))
        return found

    @property
    def numbers(self) -> list[int]:
        return [data["data"]["seq"] for name, data in self.events if name == "call.ended"]

    async def until(self, text: bytes) -> None:
        async with self._got, asyncio.timeout(30):
            await self._got.wait_for(lambda: text in self.text)


async def opened(feed: EventFeed, order: WatchEvents | None = None, admit: Any = admitted) -> tuple[Client, Any]:
    client = Client()
    answer = await live_answer(feed, admit, order or WatchEvents(), lambda: None, b"")
    task = asyncio.ensure_future(_sent(client, answer))
    await client.until(b"retry: ")
    return client, task


async def _sent(client: Client, answer: Answer) -> None:
    """Send an answer as the application does."""
    try:
        await send_answer(client.send, client.receive, answer, {})
    finally:
        assert answer.ended is not None
        answer.ended()


async def closed(*clients: tuple[Client, Any]) -> None:
    for client, task in clients:
        client.closed.set()
        await task


async def test_two_hundred_clients_share_one_stream_of_the_switch_and_a_slow_one_holds_up_no_other(source, feed):
    clients = [await opened(feed) for _ in range(CLIENTS_MAX)]
    slow, others = clients[0][0], [client for client, _ in clients[1:]]
    slow.reads.clear()
    for number in range(300):  # three times the ring
        source.put(event(number))
        if number % 50 == 49:
            for each in others:
                await each.until(b'"seq":%d,' % number)
    assert source.opened == 1
    assert all(each.numbers == list(range(300)) for each in others)
    slow.reads.set()
    await slow.until(b"stream.gap")
    assert slow.numbers == sorted(slow.numbers)
    assert len(slow.numbers) < 300
    await closed(*clients)
    assert feed.clients == 0


def test_one_account_and_one_login_take_a_few_places_and_accounts_leave_some_to_the_installation():
    places = StreamPlaces()
    acme = [places.take(customer("acme")) for _ in range(OF_ONE_MAX)]
    with pytest.raises(RequestError, match=f"{OF_ONE_MAX} clients"):
        places.take(replace(customer("acme"), login="another person"))
    acme[0]()
    places.take(customer("acme"))
    for number in range(OF_ACCOUNTS_MAX - OF_ONE_MAX):
        places.take(customer(f"customer-{number}"))
    with pytest.raises(RequestError, match=f"{OF_ACCOUNTS_MAX} clients"):
        places.take(customer("late"))
    for number in range(CLIENTS_MAX - OF_ACCOUNTS_MAX):
        places.take(replace(operator(), login=f"person-{number // OF_ONE_MAX}"))
    with pytest.raises(RequestError, match=f"{CLIENTS_MAX} clients"):
        places.take(replace(operator(), login="late"))


async def test_a_place_is_given_back_where_a_stream_ends_and_where_it_cannot_begin(source, feed):
    given_back: list[str] = []

    async def refused() -> EventView:
        raise UnauthorizedError("token t was revoked")

    with pytest.raises(UnauthorizedError):
        await live_answer(feed, refused, WatchEvents(), lambda: given_back.append("refused"), b"")
    answer = await live_answer(feed, admitted, WatchEvents(), lambda: given_back.append("ended"), b"")
    assert given_back == ["refused"]
    assert answer.ended is not None
    answer.ended()
    assert (given_back, feed.clients) == (["refused", "ended"], 0)


async def test_what_happens_before_the_head_of_the_answer_is_sent_is_in_the_stream(source, feed):
    client = Client()
    answer = await live_answer(feed, admitted, WatchEvents(), lambda: None, b"")
    source.put(event(1))
    await asyncio.sleep(0)
    task = asyncio.ensure_future(_sent(client, answer))
    await client.until(b'"seq":1,')
    await closed((client, task))
    assert feed.clients == 0


async def test_the_first_client_gets_the_events_that_a_switch_reports_when_its_stream_begins(source, feed):
    source.put(event(1))
    opening = await opened(feed)
    source.put(event(2))
    await opening[0].until(b'"seq":2,')
    assert opening[0].numbers == [1, 2]
    await closed(opening)


async def test_a_client_that_comes_again_gets_what_it_has_missed_or_gets_of_a_gap(source, feed):
    first = await opened(feed)
    source.put(event(1), event(2))
    await first[0].until(b'"seq":2,')
    after = first[0].events[0][1]["id"]
    await closed(first)
    again = await opened(feed, WatchEvents(after=after))
    await again[0].until(b'"seq":2,')
    assert again[0].numbers == [2]
    for begin in (3, 76):
        source.put(*(event(number) for number in range(begin, begin + 73)))
        await again[0].until(b'"seq":%d,' % (begin + 72))
    for missed in (after, "00000000-1", "nonsense", "-"):
        late = await opened(feed, WatchEvents(after=missed))
        await late[0].until(b"stream.gap")
        assert late[0].numbers == []
        gap = late[0].events[0][1]
        resumed = await opened(feed, WatchEvents(after=gap["id"]))
        source.put(event(1_000))
        await resumed[0].until(b'"seq":1000,')
        assert [name for name, _ in resumed[0].events] == ["call.ended"]
        await closed(late, resumed)
    await closed(again)


async def test_a_switch_that_goes_away_gets_and_streams_go_on_when_it_is_back(source, feed):
    client = await opened(feed)
    source.go()
    await client[0].until(b"stream.switch_away")
    late = await opened(feed)
    source.is_there = True
    await client[0].until(b"stream.switch_back")
    source.put(event(7), left_out=3)
    await client[0].until(b'"seq":7,')
    await late[0].until(b'"seq":7,')
    names = [name for name, _ in client[0].events]
    assert names == ["stream.switch_away", "stream.switch_back", "stream.gap", "call.ended"]
    await closed(client, late)


async def test_a_token_that_has_ended_ends_its_stream_and_a_database_that_is_away_does_not(source, feed, monkeypatch):
    monkeypatch.setattr(streams, "CHECK_S", 0.02)
    states: list[Exception | None] = [None, StoreUnavailable("away"), StoreUnavailable("away")]

    async def admit() -> EventView:
        state = states.pop(0) if states else UnauthorizedError("token t was revoked")
        if state is not None:
            raise state
        return await admitted()

    client, task = await opened(feed, admit=admit)
    await task
    assert client.events == [("stream.ended", {"why": "token t was revoked"})]
    assert (states, feed.clients) == ([], 0)


async def test_a_stream_without_events_lives_by_comments_and_ends_when_it_is_asked_to(source, feed, monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.01)
    monkeypatch.setattr(streams, "CHECK_S", 0.02)
    client, task = await opened(feed)
    await client.until(b": the stream lives")
    await closed((client, task))
    client, task = await opened(feed, WatchEvents(seconds=1))
    await task
    with pytest.raises(RequestError, match="not positive"):
        await live_answer(feed, admitted, WatchEvents(seconds=0), lambda: None, b"")


async def test_the_stream_of_the_switch_is_closed_some_time_after_the_last_client(source):
    feed = EventFeed(lambda: source, linger_s=0.01)  # type: ignore[arg-type,return-value]
    client = await opened(feed)
    source.put(event(1))
    await client[0].until(b'"seq":1,')
    after = client[0].events[0][1]["id"]
    await closed(client)
    async with asyncio.timeout(30):
        while source.followers:
            source.put(event(2))
            await asyncio.sleep(0)
    late = await opened(feed, WatchEvents(after=after))
    await late[0].until(b"stream.gap")
    assert source.opened == 2
    await closed(late)
    feed.close()


# -- who sees what --------------------------------------------------------------------------------------------------


def call(customer_account: str | None) -> CallEnded:
    accounts = (customer_account, "other") if customer_account else ("other",)
    return call_ended(
        "", accounts, ("m1", "v1"), customer_account=customer_account, vendor_account="other", routing_gateway="v1",
        cost="1", fee="2", callee_in="44", mapping_gateway="m1",
    )  # fmt: skip


GATEWAY, LOW = gateway_down("v1", ""), balance_low("acme", "")
ALARM = AlarmRaised("", AlarmRow("gateway_down", "v1", "critical", "", "", 1, "", "", None))
GAP = StreamGap("", StreamFacts(""))
EVENTS = {"acme": call("acme"), "foreign": call("foreign"), "gateway": GATEWAY, "alarm": ALARM, "low": LOW, "gap": GAP}


async def seen(who: Principal, **order: Any) -> list[str]:
    office = office_on(None, *ACCOUNTS, now=0)  # type: ignore[arg-type]
    view = await view_events(office, who, WatchEvents(**order))
    return [name for name, each in EVENTS.items() if view.shows(each)]


async def test_an_operator_sees_all_and_what_it_asks_for_alone():
    assert await seen(operator()) == list(EVENTS)
    assert await seen(operator(), types="call") == ["acme", "foreign", "gap"]
    assert await seen(operator(), types="gateway.down, balance") == ["gateway", "low", "gap"]
    assert await seen(operator(), account="acme") == ["acme", "low", "gap"]
    assert await seen(operator(), account="other") == ["acme", "foreign", "gap"]
    assert await seen(operator(), gateway="v1") == ["acme", "foreign", "gateway", "gap"]
    with pytest.raises(OrderError, match="`types` has 'calls', which is no type"):
        await seen(operator(), types="calls")


async def test_a_permission_opens_its_subject_alone():
    few = replace(operator(), permissions=frozenset({Permission.EVENTS_SEE, Permission.STATE_SEE}))
    assert await seen(few) == ["alarm", "gap"]
    with pytest.raises(OrderError, match="names nothing that ann may see"):
        await seen(few, types="call")


async def test_events_of_jobs_are_for_those_who_ordered_them_and_for_administrators():
    own = replace(operator(), permissions=frozenset({Permission.EVENTS_SEE, Permission.JOBS}))
    order = WatchEvents(types="job")
    office = office_on(None, *ACCOUNTS, now=0)  # type: ignore[arg-type]
    views = [await view_events(office, who, order) for who in (own, replace(own, means=Means.TOKEN), operator("bob"))]
    job = StoredJob(id=7, kind="bulk", subject="", login="ann", means="terminal", who="", order="", queued_at=0)
    for state, kind in (
        (JobState.RUNNING, "job.begun"),
        (JobState.DONE, "job.done"),
        (JobState.FAILED, "job.failed"),
        (JobState.CANCELLED, "job.cancelled"),
    ):
        event = job_event(replace(job, state=state), 0)
        assert event is not None
        assert (event.type, event.data.id, event.data.state) == (kind, 7, state)
        assert [each.shows(event) for each in views] == [True, False, True]
    assert job_event(job, 0) is None, "it waits for its turn"
    with pytest.raises(OrderError, match="names nothing"):
        await view_events(office, agent("south"), order)


async def test_events_of_the_api_itself_come_between_those_of_the_switch_and_are_dropped_without_clients(source, feed):
    feed.report(job(JobState.RUNNING))
    client, task = await opened(feed)
    feed.report(job(JobState.DONE))
    source.put(event(2))
    await client.until(b"call.ended")
    assert [name for name, _ in client.events] == ["job.done", "call.ended"]
    await closed((client, task))


async def test_agents_and_customers_see_calls_and_balances_of_their_accounts_without_the_vendor():
    assert await seen(agent("south")) == ["acme", "low", "gap"]
    assert await seen(customer("acme")) == ["acme", "low", "gap"]
    assert await seen(customer("other")) == ["gap"]  # the vendor of these calls, not their customer
    with pytest.raises(OrderError, match="`gateway` is not for agents and customers"):
        await seen(agent("south"), gateway="v1")
    with pytest.raises(OutOfScopeError):
        await seen(agent("south"), account="other")
    shown = for_agents(EVENTS["acme"])
    assert shown is not None
    assert {name for name, value in shown.items() if value is not None} == {
        "id", "seq", "node", "call_id", "state", "at", "customer_account", "fee", "callee_in", "mapping_gateway",
    }  # fmt: skip
    assert for_agents(LOW) is None


async def test_the_command_line_follows_the_same_events_by_the_same_rules():
    source = Source()
    source.put(*EVENTS.values())
    office = office_on(None, *ACCOUNTS, now=0)  # type: ignore[arg-type]
    office._switch = lambda: source  # type: ignore[assignment,return-value]
    async with aclosing(follow_events(office, agent("south"), WatchEvents(types="call,balance"))) as found:
        kinds = [(await anext(found)).event.type.value for _ in range(3)]
    assert kinds == ["call.ended", "balance.low", "stream.gap"]

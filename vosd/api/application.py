"""The ASGI application: from a request to an operation of the table, its order, the office, and an answer."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from sys import maxsize
from typing import Any, Final, cast

import msgspec

from vosd.admin.office.events import EventView, WatchEvents, view_events
from vosd.admin.office.jobs import queue_job
from vosd.admin.office.office import Office
from vosd.admin.office.planned_change import StaleVersionError
from vosd.admin.office.principal import Means, Principal
from vosd.admin.office.sessions import LogIns
from vosd.admin.typesetting import printed_beside
from vosd.api.feed import EventFeed
from vosd.api.http import (
    BODY_BYTES_MAX,
    JSON,
    UNKNOWN_BODY_BYTES_MAX,
    Answer,
    CutOffError,
    HttpRequest,
    Receive,
    RequestError,
    Scope,
    Send,
    compressed,
    document_of,
    preferred,
    send_answer,
)
from vosd.api.job import KeptOrder, Long
from vosd.api.jobs import Jobs, KeptUpload, is_long, kept_upload
from vosd.api.known_senders import KnownSenders
from vosd.api.listing import (
    PageWanted,
    ReadingTurns,
    Turns,
    check_cursor,
    check_indexed,
    check_length,
    each_of,
    is_read_in_parts,
    page_wanted,
    read_list,
    whole_list,
)
from vosd.api.offices import Offices
from vosd.api.operation import EXISTS, VERSION, FieldPlace, Given, Operation
from vosd.api.operations.invoices import PDF
from vosd.api.operations.session import cookie_of, proof_of, sender_of, token_of
from vosd.api.problems import PROBLEM_JSON, problem, problem_for, problem_of, problem_of_request
from vosd.api.refused_requests import RefusedRequests
from vosd.api.repeats import HEADER, REPEAT_HEADER, Repeats, has_key, key_of, reference_of
from vosd.api.request_rates import RequestRates, network_of
from vosd.api.routes import Routes
from vosd.api.shared_readings import SharedReadings
from vosd.api.streams import StreamPlaces, check_places, live_answer, watch_sender
from vosd.api.workbook import LESS, XLSX
from vosd.base.errors import VosError
from vosd.catalogue.problems import ConfigError
from vosd.cdr.ports import OutcomeUnknown
from vosd.obs.events import log as _log
from vosd.obs.log import LogLimiter
from vosd.storage.audit_line import RequestKey
from vosd.storage.jobs import TooManyJobsError

LAST_EVENT_ID: Final = "last-event-id"
UNATTENDED: Final = "x-unattended"
"""Header of a reading that a page makes by itself: it is no use of a session."""
OF_ALL_S: Final = 1.0
"""Readings that have time share one of the state of the switch so often."""
MERGE_PATCH: Final = "application/merge-patch+json"

_DIGITS_MAX: Final = 18


Identify = Callable[[Office, str, str], Awaitable[Principal]]
"""Returns the sender by its token and address, as ``admin.office.tokens.principal_of``."""


class Application:
    """Answers every request; what goes wrong in one concerns no other."""

    def __init__(
        self,
        offices: Offices,
        identify: Identify,
        routes: Routes,
        jobs: Jobs,
        *,
        feed: EventFeed | None = None,
        token_rate: int = 0,
        address_rate: int = 0,
    ) -> None:
        """The rates are requests a second of one token or session, and of one address; 0 = any."""
        self._token_rates = RequestRates(token_rate, "this token or session")
        self._address_rates = RequestRates(address_rate, "this address")
        self._known_senders = KnownSenders()
        self._senders = SharedReadings["Principal"]()
        self._of_all = SharedReadings[Answer](OF_ALL_S)
        self._offices = offices
        self._identify = identify
        self._routes = routes
        self._jobs = jobs
        self._repeats = Repeats()
        self._turns = ReadingTurns()
        self._streams = Counter[str]()
        """Answers under way, by path, of operations that bound them."""
        self._places = StreamPlaces()
        self._refused = RefusedRequests()
        self._cut_off = Counter[str]()
        """Answers that could not be sent whole and are not logged yet, by reason."""
        self._cut_off_lines = LogLimiter()
        self._log_ins = LogIns()
        self.feed: Final = feed or EventFeed(lambda: offices.running_switch)
        """Live events, for all clients."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        asked, answer = await self._answered(scope, receive)
        if answer is None:
            return
        try:
            await send_answer(send, receive, answer, asked, method=scope["method"])
        except (RequestError, VosError) as error:
            self._note_cut_off(scope, error.code)
            raise CutOffError from error
        finally:
            if answer.ended is not None:
                answer.ended()

    async def _answered(self, scope: Scope, receive: Receive) -> tuple[dict[str, str], Answer | None]:
        """Return the headers of the request, and the answer; None = the client has gone."""
        asked: dict[str, str] = {}
        patience_s, request = 0.0, None
        try:
            request = HttpRequest(scope, receive)
            asked = request.headers
            self._address_rates.take(network_of(request.source), time.monotonic())
            operation, path = self._routes.find(request)
            patience_s = operation.patience_s
            async with asyncio.timeout(patience_s):
                answer = await self._answer(request, operation, path)
                if answer.stream is not None and request.sender is not None and not operation.is_live:
                    answer = msgspec.structs.replace(answer, watch=self._watch_of(operation, request))
                return asked, _as_seen(request, answer)
        except RequestError as error:
            self._note_refused(request, error.code)
            answer = problem_of_request(error)
        except VosError as error:
            self._note_refused(request, error.code)
            is_known = request is not None and request.sender is not None
            answer = problem_of(error) if is_known or not isinstance(error, ConfigError) else _unreadable()
        except TimeoutError as error:
            is_open = request is not None and request.is_carried_out
            answer = _too_slow(patience_s, getattr(error.__context__, "__notes__", ()), is_open=is_open)
        except ConnectionResetError:
            return asked, None
        except Exception:  # noqa: BLE001  the boundary of a request: nothing else would report it
            _log.exception("request_failed", method=scope["method"], path=scope["path"])
            answer = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "an error of the switch; its log has it")
        return asked, _as_seen(request, answer)

    def _note_cut_off(self, scope: Scope, code: str) -> None:
        """Log an answer that could not be sent whole: one line a minute for each reason, with their number."""
        self._cut_off[code] += 1
        if self._cut_off_lines.admits(code, round(1_000 * time.monotonic())):
            count = self._cut_off.pop(code)
            _log.warning("answer_cut_off", method=scope["method"], path=scope["path"], why=code, count=count)

    def _note_refused(self, request: HttpRequest | None, code: str) -> None:
        if request is not None and request.sender is not None:
            self._refused.note(request.sender, request.source, request.method, "/".join(("", *request.path)), code)

    async def _answer(self, request: HttpRequest, operation: Operation, path: Mapping[str, str]) -> Answer:
        if operation.session is not None:
            return await self._answer_of_session(operation, request)
        query = dict(request.query)
        if operation.permission is None and not operation.is_for_everyone:
            order = operation.order(Given(path, query, {}, None, {}))
            patience_s = operation.patience_s
            opened = (
                await self._offices.open(needs_database=False, patience_s=patience_s) if operation.asks_switch else None
            )
            return await _done(operation, cast("Office", opened), cast("Principal", None), order, request)
        proof = proof_of(request)
        self._token_rates.take(proof, time.monotonic())
        if operation.is_of_all and _waits(request):
            return await self._answer_of_all(operation, request, path, proof)
        office = await self._offices.open(needs_database=operation.needs_database, patience_s=operation.patience_s)
        who = await self._known_sender(office, operation, request, proof)
        _admit(operation, request, who)
        return await self._carried_out(operation, office, who, path, request)

    async def _answer_of_all(
        self, operation: Operation, request: HttpRequest, path: Mapping[str, str], proof: bytes
    ) -> Answer:
        """Answer a request that can wait with what all get who have the same rights, and ask for it in this second."""
        begun = time.monotonic()
        is_use = UNATTENDED not in request.headers
        who = self._known_senders.lately(proof + request.source.encode(), begun, is_use=is_use)
        if who is None:
            office = await self._offices.open(needs_database=False, patience_s=operation.patience_s)
            who = await self._known_sender(office, operation, request, proof)
        _admit(operation, request, who)

        async def read(who: Principal = who) -> Answer:
            # the reading before may have taken the most of its time: it gives up with a reason before that is over
            left_s = begun + operation.patience_s - time.monotonic()
            office = await self._offices.open(needs_database=False, patience_s=left_s)
            answer = await self._carried_out(operation, office, who, path, request)
            return msgspec.structs.replace(answer, packed=compressed(answer.content))

        rights = who.role, who.account, who.permissions
        return await self._of_all.of((request.target, rights), read)

    async def _carried_out(
        self, operation: Operation, office: Office, who: Principal, path: Mapping[str, str], request: HttpRequest
    ) -> Answer:
        """Answer a request whose sender may give its order."""
        query = dict(request.query)
        if operation.long is not None and is_long(operation.long, request):
            if who.account is not None and not operation.is_for_accounts:
                office.scope_of(who).require_operator()  # before its body is kept, and before it waits beside others
            return await self._queued(operation, operation.long, office, who, path, request)
        wanted = None
        if operation.listing is not None:
            accept = request.headers.get("accept", "")
            is_operator = who.account is None
            wanted = page_wanted(operation.listing, operation.columns(), query, accept, is_operator=is_operator)
            check_indexed(operation.listing, query, is_operator=is_operator)
        conditions = _conditions(operation, request)
        given = Given(path, query, conditions, await _body(operation, request), _paging(operation, wanted))
        order = operation.order(given)
        if wanted is not None:
            listed = _list(operation, office, who, order, wanted, self._turns.of(who.account))
            # What comes before a stream begins may take long; once it has begun, it ends when its client goes.
            try:
                return await (request.unless_gone(listed) if wanted.form else listed)
            except asyncio.CancelledError as error:
                if wanted.form == XLSX:
                    error.add_note(LESS)
                raise
        if operation.is_live:
            return await self._live(operation, request, order, self._places.take(who))
        if operation.streams_max is not None:
            return await self._streamed(operation, operation.streams_max, office, who, order, request)
        if not operation.is_write or not has_key(request.headers):
            return await _done(operation, office, who, order, request)
        key = _key_of(request, who, conditions, request.content)
        return await self._once(operation, office, who, order, request, key)

    async def _once(
        self, operation: Operation, office: Office, who: Principal, order: Any, request: HttpRequest, key: RequestKey
    ) -> Answer:
        """Answer a request that has a key: a repeat gets the answer of the first."""
        if getattr(order, "is_trial", False):
            return await _done(operation, office, who, order, request)
        if operation.reference is not None and getattr(order, operation.reference) is None:
            order = msgspec.structs.replace(order, **{operation.reference: reference_of(key)})

        async def act(key: RequestKey | None) -> Answer:
            keyed = msgspec.structs.replace(who, request=key)
            return await _done(operation, office, keyed, order, request)

        return await self._repeats.once(
            key,
            office.stores.requests,
            act,
            is_harmless=operation.reference is not None,
            is_secret=operation.makes_secret,
            is_repeat=REPEAT_HEADER in request.headers,
        )

    async def _streamed(
        self, operation: Operation, streams_max: int, office: Office, who: Principal, order: Any, request: HttpRequest
    ) -> Answer:
        """Return an answer that holds one of the places of its operation until it was sent."""
        path = operation.path
        check_places(self._streams[path], streams_max)
        self._streams[path] += 1

        def leave() -> None:
            self._streams[path] -= 1

        try:
            return msgspec.structs.replace(await _done(operation, office, who, order, request), ended=leave)
        except BaseException:
            leave()
            raise

    async def _live(
        self, operation: Operation, request: HttpRequest, order: WatchEvents, leave: Callable[[], None]
    ) -> Answer:
        """Answer with live events; who asks is looked up again and again, as long as the stream lasts."""
        after = request.headers.get(LAST_EVENT_ID)
        if after is not None:
            order = msgspec.structs.replace(order, after=after)

        async def admit() -> EventView:
            office, who = await self._admitted(operation, request)
            return await view_events(office, who, order)

        return await live_answer(self.feed, admit, order, leave, proof_of(request))

    def _watch_of(self, operation: Operation, request: HttpRequest) -> Callable[[], Awaitable[None]]:
        """Return what ends the stream of an answer whose sender may not have it any more."""
        return lambda: watch_sender(lambda: self._admitted(operation, request), proof_of(request))

    async def _admitted(self, operation: Operation, request: HttpRequest) -> tuple[Office, "Principal"]:
        """Return the office, and who follows a stream, looked up again.

        Raises:
            RequestError, VosError: it may not any more.
        """
        office = await self._offices.open(needs_database=operation.needs_database)
        who = await self._senders.of(
            (proof_of(request) + request.source.encode(), False),
            lambda: self._sender(office, operation, request, is_use=False),
        )
        _require_permission(operation, who)
        if who.account is not None:  # which may be disabled, or gone
            office.scope_of(who, was_agent=True)
        return office, who

    async def _queued(
        self,
        operation: Operation,
        long: Long,
        office: Office,
        who: Principal,
        path: Mapping[str, str],
        request: HttpRequest,
    ) -> Answer:
        """Queue the order of a request as a job."""
        kept = KeptOrder(path, request.query, header=_conditions(operation, request))
        upload = None
        if long.uploads and operation.has_body:
            operation.check_query(request.query)
        else:
            kept = msgspec.structs.replace(kept, body=await _body(operation, request))
            order = operation.order(Given(path, request.query, kept.header, kept.body, {}))
            if long.check is not None:
                long.check(office, who, order)
        if long.uploads:
            upload = await kept_upload(request, long, await self._jobs.directory())
        is_needed = False

        async def queue(key: RequestKey | None) -> Answer:
            nonlocal is_needed
            subject = "" if long.subject is None else path[long.subject]
            name = None if upload is None else upload.path.name
            keyed = msgspec.structs.replace(who, request=key)
            is_needed = True  # also where it is not known whether the job was queued
            request.is_carried_out = True
            try:
                job = await queue_job(office, keyed, long.kind, subject, msgspec.json.encode(kept).decode(), name)
            except TooManyJobsError:
                is_needed = False
                raise
            self._jobs.wake()
            headers = (("Location", f"/api/v1/jobs/{job.id}"),)
            return Answer(status=HTTPStatus.ACCEPTED, content=msgspec.json.encode(job), headers=headers)

        try:
            if upload is not None:
                _check_short(operation, path, request.query, upload)
            if not has_key(request.headers):
                return await queue(None)
            content = request.content if upload is None else upload.digest.encode()
            key = _key_of(request, who, kept.header, content)
            is_repeat = REPEAT_HEADER in request.headers
            return await self._repeats.once(key, office.stores.requests, queue, is_harmless=False, is_repeat=is_repeat)
        finally:
            if upload is not None:
                if not is_needed:
                    upload.path.unlink(missing_ok=True)
                upload.file.close()

    async def _known_sender(
        self, office: Office, operation: Operation, request: HttpRequest, proof: bytes
    ) -> Principal:
        """Return who sends a request; what the switch answers may be read while the database is away, too."""
        if operation.is_write:
            return await self._sender(office, operation, request)
        key = proof + request.source.encode()
        # browsers connect again to a stream by themselves
        is_use = not operation.is_live and UNATTENDED not in request.headers

        def find() -> Awaitable[Principal]:
            return self._senders.of((key, is_use), lambda: self._sender(office, operation, request, is_use=is_use))

        if operation.needs_database:
            return await find()
        return await self._known_senders.look(key, find, time.monotonic(), is_use=is_use)

    async def _sender(
        self, office: Office, operation: Operation, request: HttpRequest, *, is_use: bool = True
    ) -> Principal:
        """Return who sends a request: the program of its token, or the person of its session."""
        token = token_of(request)
        if token is None:
            return await sender_of(office, request, changes=operation.is_write, is_use=is_use)
        return await self._identify(office, token, request.source)

    async def _answer_of_session(self, operation: Operation, request: HttpRequest) -> Answer:
        """Answer what comes before there is a principal."""
        assert operation.session is not None
        query = dict(request.query)
        if operation.takes_any_query:
            query = {each.name: query[each.name] for each in operation.fields() if each.name in query}
        order = operation.order(Given({}, query, {}, await _body(operation, request), {}))
        office = await self._offices.open(needs_database=True)
        answer: Answer = await operation.session(office, self._log_ins, request, order)
        if token_of(request) or cookie_of(request):
            self._known_senders.forget(proof_of(request) + request.source.encode())
        return answer


def _as_seen(request: HttpRequest | None, answer: Answer) -> Answer:
    """Return an answer as its sender gets it."""
    sender = None if request is None else request.sender
    return answer if answer.content_type != PROBLEM_JSON or sender is None else problem_for(sender, answer)


def _waits(request: HttpRequest) -> bool:
    """Return whether a request has a second or more (RFC 7240 section 4.3), and wants what most want: JSON."""
    seconds = request.preferences().get("wait", "")
    has_time = seconds.isascii() and seconds.strip("0").isdigit()
    return has_time and request.headers.get("accept", "*/*") in {"*/*", JSON}


def _admit(operation: Operation, request: HttpRequest, who: Principal) -> None:
    """Note who sends a request; raises RequestError where it may not."""
    request.sender = who
    request.name_sender(principal=who.recorded, login=who.login, account=who.account)
    _require_permission(operation, who)


def _require_permission(operation: Operation, who: Principal) -> None:
    if operation.permission is not None and not operation.is_open_to(who.permissions):
        lacking = operation.permission.value
        said = f"this needs the permission {lacking}, which the token has not"
        if who.means is Means.PAGE:
            said = f"this needs the permission {lacking}, which your role has not"
        raise RequestError(HTTPStatus.FORBIDDEN, "permission_lacking", said)


async def _list(
    operation: Operation, office: Office, who: Principal, order: Any, wanted: PageWanted, turns: Turns
) -> Answer:
    assert operation.listing is not None
    await check_length(operation.listing, office, who, order, wanted)
    result = operation.run(office, who, order)
    if isinstance(result, AsyncIterator):
        return await read_list(operation.listing, result, wanted, turns)
    items = await result
    if is_read_in_parts(operation.listing, wanted):
        return await read_list(operation.listing, each_of(items), wanted)
    if operation.listing.inside is not None:
        return await whole_list(operation.listing, getattr(items, operation.listing.inside[1]), wanted, items)
    return await whole_list(operation.listing, items, wanted)


async def _done(operation: Operation, office: Office, who: Principal, order: Any, request: HttpRequest) -> Answer:
    request.is_carried_out = operation.is_write
    result = operation.run(office, who, order)
    assert isinstance(result, Awaitable)
    if operation.answer is not None:
        return await operation.answer(office, request, await result)
    names_version = not getattr(order, "is_trial", False)
    return await _answer_of(operation, request, await result, names_version=names_version)


def _unreadable() -> Answer:
    """Return the answer while no configuration can be read, for one who is not known: its mistakes name files."""
    said = "the configuration of the switch cannot be read: its operator finds out why by vosd check"
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "config", said)


def _too_slow(patience_s: float, notes: Sequence[str], *, is_open: bool) -> Answer:
    """Return the answer of a request that took too long; ``is_open``: a change that it orders may have been made.

    ``notes`` say what to do then, where the order knows more than that.
    """
    said = f"the request took longer than {patience_s:g} s"
    remedy = "; ".join(notes)
    if not is_open:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "too_slow", said, remedy=remedy)
    remedy = remedy or OutcomeUnknown.remedy
    return problem(HTTPStatus.GATEWAY_TIMEOUT, OutcomeUnknown.code, said, remedy=remedy)


def _check_short(operation: Operation, path: Mapping[str, str], query: Mapping[str, str], upload: KeptUpload) -> None:
    """Refuse a body that says no order at once, where it is not longer than others; of a long one its job says it."""
    if operation.has_body and upload.path.stat().st_size <= BODY_BYTES_MAX:
        operation.order(Given(path, query, {}, document_of(upload.path.read_bytes()), {}))


async def _body(operation: Operation, request: HttpRequest) -> Any:
    if not operation.has_body:
        if operation.refuses_body and await request.says_something():
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "unknown_field",
                "the request takes no body",
                remedy="say its fields in the query, and conditions in headers",
            )
        return None
    bytes_max = BODY_BYTES_MAX if operation.session is None else UNKNOWN_BODY_BYTES_MAX
    return await request.document(*([MERGE_PATCH] if operation.merges else []), bytes_max=bytes_max)


def _key_of(request: HttpRequest, who: Principal, conditions: Mapping[str, Any], content: bytes) -> RequestKey:
    """Return the key of a request; one with another condition is another one."""
    named = (f"{name}: {value}".encode() for name, value in conditions.items())
    return key_of(request.headers[HEADER], who.login, request.method.encode(), request.target, *named, content)


def _conditions(operation: Operation, request: HttpRequest) -> dict[str, Any]:
    """Return the fields of an order that the conditions of a write set (RFC 9110, 13.1).

    Raises:
        RequestError: the operation does not know the condition.
        StaleVersionError: no object has such a version.
    """
    if not operation.is_write:
        return {}
    known = {each.name for each in operation.fields() if each.place is FieldPlace.HEADER}
    found: dict[str, Any] = {}
    for name, is_there in (("If-Match", True), ("If-None-Match", False)):
        text = request.headers.get(name.lower(), "").strip()
        if not text:
            continue
        if not known or (not is_there and (text != "*" or EXISTS not in known or EXISTS in found)):
            said = f"`{name}: {text}` is no condition of this operation"
            raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_field", said, field=name)
        if text != "*":
            found[VERSION] = _version_in(text)
        elif EXISTS in known:
            found[EXISTS] = is_there
    return found


def _version_in(text: str) -> int:
    """Return the version that If-Match names."""
    number = text.removeprefix("W/").strip('"')
    if not number.isascii() or not number.isdigit() or len(number) > _DIGITS_MAX:
        raise StaleVersionError(
            "If-Match is not one ETag that this API gave: read the object again, and name its ETag alone"
        )
    return int(number)


def _paging(operation: Operation, wanted: PageWanted | None) -> dict[str, Any]:
    """Return the fields of an order whose list the office reads in parts: one more item than the page has."""
    listing = operation.listing
    if wanted is None or listing is None or not listing.in_parts:
        return {}
    if not is_read_in_parts(listing, wanted):
        return {"limit": None, "after": None}
    check_cursor(wanted, next(each for each in msgspec.structs.fields(operation.takes) if each.name == "after"))
    paging = {"limit": maxsize if wanted.limit is None else wanted.limit + 1, "after": wanted.after}
    if listing.backwards is not None and wanted.sort is not None:
        paging[listing.backwards] = wanted.is_reversed != listing.descends
    elif listing.backwards is not None and listing.ends_first:
        paging[listing.backwards] = wanted.limit is not None
    return paging


async def _written(make: Callable[[Any], bytes], form: str, result: Any) -> bytes:
    """Return a result in a form, which is made beside the requests of others: a workbook or PDF takes seconds."""
    if make is bytes:
        return bytes(result)
    if form == PDF:
        return await printed_beside(partial(make, result))
    return await asyncio.to_thread(make, result)


async def _answer_of(operation: Operation, request: HttpRequest, result: Any, *, names_version: bool) -> Answer:
    """Write a result as the request wants it; that of a trial names no version, as it made none."""
    headers: list[tuple[str, str]] = []
    if names_version and operation.etag is not None and (version := operation.etag(result)) is not None:
        headers.append(("ETag", f'"{version}"'))
        if request.method == "GET" and f'"{version}"' in request.headers.get("if-none-match", ""):
            return Answer(status=HTTPStatus.NOT_MODIFIED, headers=tuple(headers))
    if names_version and operation.location is not None:
        headers.append(("Location", operation.location(result)))
    accept = request.headers.get("accept", "")
    if form := preferred(accept, operation.forms):
        content = await _written(operation.forms[form], form, result)
        named = f"{form}; charset=utf-8" if form.startswith("text/") else form
        return Answer(status=operation.status, content=content, content_type=named, headers=tuple(headers))
    shown = result if operation.shown is None else operation.shown(result)
    return Answer(status=operation.status, content=msgspec.json.encode(shown), headers=tuple(headers))

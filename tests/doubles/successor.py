"""A switch that takes the place of another one, from the encoded snapshot of its calls alone (ADR 39)."""

from collections import deque
from collections.abc import Iterator
from types import ModuleType, NoneType
from typing import Any

import msgspec

from doubles.virtual.scene import Scene
from vosd.b2bua.leg import Move
from vosd.billing.holds import AccountCredit
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.saved import SavedSwitch
from vosd.engine.node import Node, Tokens as TokenSource
from vosd.engine.settings import TraceSettings
from vosd.routing.pipeline import RouteChoice
from vosd.sip.settings import SipSettings
from vosd.sip.transaction.states import TransactionState

OF_THE_SWITCH = frozenset({"_asks", "_board", "_choices", "_endpoint", "_flows", "bucket", "endpoint", "store"})
DESCRIBED = ("vosd.b2bua", "vosd.sip.dialog", "vosd.sip.transaction")
OCCUPIED = frozenset({"choices", "counted", "hold", "numbers", "searched", "taken", "watched"})
"""Fields of a call request that are compared otherwise, or are read, or over, by then."""
MESSAGES = frozenset({"forwards"})
"""Messages whose other bodies are forwarded by rule, none of which is kept over a restart."""
VALUES = (str, bytes, int, frozenset, NoneType)


def attributes_of(kind: type) -> set[str]:
    """Return the attributes of an object, those of a struct included."""
    slots = {name for each in kind.__mro__ for name in getattr(each, "__slots__", ())}
    return slots | {*getattr(kind, "__struct_fields__", ())}


def forgotten(there: Any, here: Any, path: str = "call", seen: set[int] | None = None) -> Iterator[str]:
    """Yield what of a call, and of all that it consists of, the restored one lacks or has otherwise."""
    seen = set() if seen is None else seen
    if isinstance(there, Move) and here is None:
        if there.transaction.state is TransactionState.PROCEEDING:
            yield path
    elif isinstance(there, RouteChoice) and here is not None and there.gateway is not here.gateway:
        yield f"{path}.gateway"
    elif isinstance(there, tuple | list | deque) and here is not None:
        for number, (each, other) in enumerate(zip(there, here, strict=True)):
            yield from forgotten(each, other, f"{path}[{number}]", seen)
    elif isinstance(there, dict) and isinstance(here, dict):
        if [*there] != [*here]:
            yield path
        yield from forgotten([*there.values()], [*here.values()], path, seen)
    elif isinstance(there, VALUES) or (there is None) is not (here is None):
        if there != here:
            yield path
    elif type(there).__module__.startswith(DESCRIBED) and id(there) not in seen:
        seen.add(id(there))
        if type(here) is not type(there):
            yield path
        for name in attributes_of(type(there)) - OF_THE_SWITCH - MESSAGES:
            if name in {"transaction", "_transaction"} and getattr(there, name).state >= TransactionState.ACCEPTED:
                continue  # of an INVITE that is answered and acknowledged only names are left
            if hasattr(there, name) is not hasattr(here, name):
                yield f"{path}.{name}"
            elif hasattr(there, name):
                yield from forgotten(getattr(there, name), getattr(here, name), f"{path}.{name}", seen)


def request_of(live_call: LiveCall) -> dict[str, Any]:
    """Return what the set-up of a call has found out, as far as the call still needs it."""
    needed = msgspec.structs.asdict(live_call.call_request)
    answered = live_call.call.journey.answered_at is not None
    return {name: each for name, each in needed.items() if name not in OCCUPIED and not (answered and name == "left")}


def shared_choices(live_call: LiveCall) -> list[int]:
    """Return for each next hop of a call the first one that has the same choice: ``Hunt`` compares them by identity."""
    search = live_call.call.search
    choices = [] if search is None else [id(choice) for choice, _ in search.hunt.next_hops]
    return [choices.index(each) for each in choices]


def setup_of(live_call: LiveCall) -> Any:
    """Return what the set-up of a call waits for, and what it knows of the call."""
    waiting, request = live_call.open_setup, live_call.call_request
    if waiting is None:
        return None
    setup = waiting.setup
    choices = list(request.choices)
    request.choices = iter(choices)
    question = None if setup.asked is None else setup.asked.question
    return waiting.ticket, question, setup.steps_left, request.sent_back_from, request.closed, request.at, choices


class Tokens:
    """The tokens of the exchange, of which a node takes none while it is made."""

    def __init__(self, tokens: TokenSource) -> None:
        self.tokens = tokens
        self.is_made = False

    def token(self) -> str:
        """Return a token, of the exchange once the node is made."""
        return self.tokens.token() if self.is_made else "unused"

    def entropy(self) -> bytes:
        """Return random bytes of the exchange."""
        return self.tokens.entropy()

    def secret(self) -> bytes:
        """Return a secret of the exchange."""
        return self.tokens.secret()


def without_holds(credit: AccountCredit) -> AccountCredit:
    """Return what the next process knows of an account: each hold comes back with its call."""
    after = AccountCredit(credit.account, credit.own_limit, credit.balance, credit.seq)
    after.post(credit.unbooked)
    return after


def replace_node(scene: Scene, codec: ModuleType = msgspec.msgpack) -> None:
    """Replace the node by another one, which knows of the first what its encoded snapshot says."""
    exchange = scene.exchange
    before = exchange.node
    before.switch.continuation.open_doors(exchange.clock.now())
    exchange.flush()
    saved, left = SavedSwitch.of(before.endpoint, before.switch.services)
    assert left == []
    saved = codec.decode(codec.encode(saved), type=SavedSwitch)
    exchange.credits = {name: without_holds(credit) for name, credit in exchange.credits.items()}
    tokens = Tokens(exchange.surroundings.tokens)
    around = exchange.surroundings._replace(credits=exchange.credits, tokens=tokens)
    sip, listeners, content = SipSettings(product="vosd/test"), before.endpoint.flows.listeners, before.switch.catalogue
    after = Node("sw1", sip, TraceSettings(), listeners, content, around)
    after.switch.continuation.restore(saved)
    after.switch.continuation.begin_again(exchange.clock.now())
    tokens.is_made = True
    for there, here in zip(before.switch.calls(), after.switch.calls(), strict=True):
        assert list(forgotten(there.call, here.call)) == []
        assert shared_choices(there) == shared_choices(here)
        assert setup_of(there) == setup_of(here)
        assert request_of(there) == request_of(here)
    exchange.take_node(after)

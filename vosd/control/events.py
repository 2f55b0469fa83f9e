"""Events of the running switch: one stream of them to a process that follows, such as the management API (ADR 126)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

import msgspec

from vosd.base.text import escaped
from vosd.control.call_states import CallStateReport
from vosd.control.installation import AlarmRow
from vosd.control.order import Following, Order


class EventType(StrEnum):
    """Types of events; a name is stable."""

    CALL_TRYING = "call.trying"
    """A gateway is tried, for each; the first one of a call is its begin."""
    CALL_RINGING = "call.ringing"
    CALL_ANSWERED = "call.answered"
    CALL_ENDED = "call.ended"
    """It has ended, or was refused; ``end_reason`` says why."""
    GATEWAY_DOWN = "gateway.down"
    GATEWAY_UP = "gateway.up"
    GATEWAY_RESTING = "gateway.resting"
    GATEWAY_WELL = "gateway.well"
    """A call to an address that rested has succeeded."""
    GATEWAY_FULL = "gateway.full"
    """It carries as many calls as it may; looked at once a second."""
    GATEWAY_FREE = "gateway.free"
    ALARM_RAISED = "alarm.raised"
    ALARM_CLEARED = "alarm.cleared"
    BALANCE_LOW = "balance.low"
    BALANCE_RECOVERED = "balance.recovered"
    BALANCE_CHANGED = "balance.changed"
    """Another process has booked: a payment, a transfer, a correction."""
    OVERRIDE_SET = "override.set"
    """An override of a gateway, a phone or an account is in force; a block is one."""
    OVERRIDE_ENDED = "override.ended"
    DEFINITIONS_CHANGED = "definitions.changed"
    """Another configuration, or another version of the objects in the database, is in force."""
    JOB_BEGUN = "job.begun"
    """The management API carries a job out; one that was interrupted begins again."""
    JOB_DONE = "job.done"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    """It was cancelled while it ran."""
    GAP = "stream.gap"
    """Events are missing: read the lists again. It is sent to every follower, whatever its filter."""
    SWITCH_AWAY = "stream.switch_away"
    """The switch does not answer; events of it come when it is back. Sent to every follower."""
    SWITCH_BACK = "stream.switch_back"
    """It answers again: read the lists again. Sent to every follower."""


OF_THE_STREAM: Final = frozenset({EventType.GAP, EventType.SWITCH_AWAY, EventType.SWITCH_BACK})
"""Events of the stream itself, which every follower gets."""
TYPES_BY_NAME: Final[Mapping[str, frozenset[EventType]]] = {
    name: frozenset(each for each in EventType if name in {each.value, each.partition(".")[0]}) - OF_THE_STREAM
    for type_ in EventType
    if type_ not in OF_THE_STREAM
    for name in (type_.value, type_.partition(".")[0])
}
"""The types that a type (``call.ended``) or a subject (``call``) names."""


class GatewayFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A gateway."""

    gateway: str


class GatewayWellFacts(GatewayFacts, frozen=True, forbid_unknown_fields=True):
    """A gateway and the address that takes calls again."""

    address: str
    customer: str | msgspec.UnsetType = msgspec.UNSET
    """Account whose calls alone had failed there."""


class GatewayRestingFacts(GatewayFacts, frozen=True, forbid_unknown_fields=True):
    """A gateway and the address that gets no calls for a while."""

    address: str
    rest_s: int
    customer: str | msgspec.UnsetType = msgspec.UNSET
    """Account whose calls alone fail there."""


class GatewayFullFacts(GatewayFacts, frozen=True, forbid_unknown_fields=True):
    """A gateway and the most calls that it carries."""

    max_concurrent: int


class AccountFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account."""

    account: str


class BalanceLowFacts(AccountFacts, frozen=True, forbid_unknown_fields=True):
    """An account whose money is nearly used up; amounts are text."""

    left: str
    currency: str | None
    balance: str
    reserved: str
    balance_low: str
    """The amount below which it is low."""


class BalanceChangedFacts(AccountFacts, frozen=True, forbid_unknown_fields=True):
    """An account with its balance, as text."""

    balance: str
    currency: str | None


class OverrideFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An override."""

    target: str
    name: str
    setting: str
    value: str
    operator: str
    until: str | None
    """RFC 3339; None = it is cleared by hand."""
    memo: str | None


class OverrideEndedFacts(OverrideFacts, frozen=True, forbid_unknown_fields=True):
    """An override that was in force until now."""

    why: str
    """``cleared`` or ``expired``."""


class DefinitionsFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration in force."""

    catalogue: str
    """Version of the configuration."""


class StreamFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reason of an event of the stream itself."""

    why: str


class NoFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts of an event that has none beside its type."""


Facts_co = TypeVar("Facts_co", bound=msgspec.Struct, covariant=True)


class LiveEvent(msgspec.Struct, Generic[Facts_co], frozen=True, omit_defaults=True, gc=False, tag_field="type"):
    """One event. Each type has a class, by which its facts are read; a fact that it does not have is an error."""

    type: ClassVar[EventType]
    at: str
    """RFC 3339."""
    data: Facts_co
    accounts: tuple[str, ...] = ()
    """Accounts that it is about: for a call the customer's first, then the vendor's."""
    gateways: tuple[str, ...] = ()
    ordered_by: str = ""
    """Means and login of the one who has ordered the job that it is about."""

    @property
    def owner(self) -> str | None:
        """Account whose agents and itself see the event; None = it is for operators."""
        return None

    @property
    def series(self) -> str:
        """Name of the events that are delivered one after the other."""
        return self.type.partition(".")[0]


class CallStateEvent(LiveEvent[CallStateReport], frozen=True, omit_defaults=True, gc=False):
    """An event of a call."""

    @property
    def owner(self) -> str | None:
        """The customer: that an account is the vendor of others' calls is for operators."""
        return self.data.customer_account

    @property
    def series(self) -> str:
        """The id of the call."""
        return self.data.call_id


AccountFacts_co = TypeVar("AccountFacts_co", bound=AccountFacts, covariant=True)


class BalanceEvent(LiveEvent[AccountFacts_co], Generic[AccountFacts_co], frozen=True, omit_defaults=True, gc=False):
    """An event of the balance of an account."""

    @property
    def owner(self) -> str | None:
        """The account."""
        return self.data.account


class CallTrying(CallStateEvent, frozen=True, omit_defaults=True, gc=False, tag="call.trying"):
    """A gateway is about to be tried."""

    type = EventType.CALL_TRYING


class CallRinging(CallStateEvent, frozen=True, omit_defaults=True, gc=False, tag="call.ringing"):
    """A gateway rings."""

    type = EventType.CALL_RINGING


class CallAnswered(CallStateEvent, frozen=True, omit_defaults=True, gc=False, tag="call.answered"):
    """The caller gets a 200."""

    type = EventType.CALL_ANSWERED


class CallEnded(CallStateEvent, frozen=True, omit_defaults=True, gc=False, tag="call.ended"):
    """A call has ended, or was refused."""

    type = EventType.CALL_ENDED


class GatewayDown(LiveEvent[GatewayFacts], frozen=True, omit_defaults=True, gc=False, tag="gateway.down"):
    """A gateway does not answer."""

    type = EventType.GATEWAY_DOWN


class GatewayUp(LiveEvent[GatewayFacts], frozen=True, omit_defaults=True, gc=False, tag="gateway.up"):
    """A gateway answers again."""

    type = EventType.GATEWAY_UP


class GatewayResting(LiveEvent[GatewayRestingFacts], frozen=True, omit_defaults=True, gc=False, tag="gateway.resting"):
    """An address gets no calls for a while."""

    type = EventType.GATEWAY_RESTING


class GatewayWell(LiveEvent[GatewayWellFacts], frozen=True, omit_defaults=True, gc=False, tag="gateway.well"):
    """A call to an address that rested has succeeded."""

    type = EventType.GATEWAY_WELL


class GatewayFull(LiveEvent[GatewayFullFacts], frozen=True, omit_defaults=True, gc=False, tag="gateway.full"):
    """A gateway carries as many calls as it may."""

    type = EventType.GATEWAY_FULL


class GatewayFree(LiveEvent[GatewayFacts], frozen=True, omit_defaults=True, gc=False, tag="gateway.free"):
    """A gateway has room for calls again."""

    type = EventType.GATEWAY_FREE


class AlarmRaised(LiveEvent[AlarmRow], frozen=True, omit_defaults=True, gc=False, tag="alarm.raised"):
    """An alarm was raised."""

    type = EventType.ALARM_RAISED


class AlarmCleared(LiveEvent[AlarmRow], frozen=True, omit_defaults=True, gc=False, tag="alarm.cleared"):
    """An alarm was cleared."""

    type = EventType.ALARM_CLEARED


class BalanceLow(BalanceEvent[BalanceLowFacts], frozen=True, omit_defaults=True, gc=False, tag="balance.low"):
    """The money of an account is nearly used up."""

    type = EventType.BALANCE_LOW


class BalanceRecovered(BalanceEvent[AccountFacts], frozen=True, omit_defaults=True, gc=False, tag="balance.recovered"):
    """Money was added to an account with a low balance."""

    type = EventType.BALANCE_RECOVERED


class BalanceChanged(
    BalanceEvent[BalanceChangedFacts], frozen=True, omit_defaults=True, gc=False, tag="balance.changed"
):
    """Another process has booked."""

    type = EventType.BALANCE_CHANGED


class OverrideSet(LiveEvent[OverrideFacts], frozen=True, omit_defaults=True, gc=False, tag="override.set"):
    """An override is in force."""

    type = EventType.OVERRIDE_SET


class OverrideEnded(LiveEvent[OverrideEndedFacts], frozen=True, omit_defaults=True, gc=False, tag="override.ended"):
    """An override has ended."""

    type = EventType.OVERRIDE_ENDED


class DefinitionsChanged(
    LiveEvent[DefinitionsFacts], frozen=True, omit_defaults=True, gc=False, tag="definitions.changed"
):
    """Another configuration is in force."""

    type = EventType.DEFINITIONS_CHANGED


class StreamGap(LiveEvent[StreamFacts], frozen=True, omit_defaults=True, gc=False, tag="stream.gap"):
    """Events are missing."""

    type = EventType.GAP


class SwitchAway(LiveEvent[StreamFacts], frozen=True, omit_defaults=True, gc=False, tag="stream.switch_away"):
    """The switch does not answer."""

    type = EventType.SWITCH_AWAY


class SwitchBack(LiveEvent[NoFacts], frozen=True, omit_defaults=True, gc=False, tag="stream.switch_back"):
    """The switch answers again."""

    type = EventType.SWITCH_BACK


SwitchEvent = (
    CallTrying
    | CallRinging
    | CallAnswered
    | CallEnded
    | GatewayDown
    | GatewayUp
    | GatewayResting
    | GatewayWell
    | GatewayFull
    | GatewayFree
    | AlarmRaised
    | AlarmCleared
    | BalanceLow
    | BalanceRecovered
    | BalanceChanged
    | OverrideSet
    | OverrideEnded
    | DefinitionsChanged
)
"""Events that the switch reports; those of the stream and of jobs are made in the management API."""


class EventDocument(msgspec.Struct, frozen=True):
    """An event as clients and receivers get it."""

    id: str
    """Text that the header Last-Event-ID names later."""
    type: EventType
    """Type of the event, as in docs/api.md."""
    at: str
    """RFC 3339."""
    data: Any  # free in the document of the API alone: ``document_of`` takes the facts of an event
    """Facts; docs/api.md has them by type."""


class EventBatch(msgspec.Struct, frozen=True):
    """Events since the last batch, in order; none where the switch says only that it lives."""

    events: list[SwitchEvent]
    left_out: int
    """Events before these that were dropped, because the follower was too slow."""


class FollowEvents(Following[EventBatch], frozen=True, tag="events"):
    """Report all events until the client disconnects."""


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that a receiver did not get and will not get, unless it is replayed."""

    receiver: str
    """Name of the webhook."""
    number: int
    """Number among the events for the receiver."""
    made: str
    """RFC 3339."""
    why: str
    """``expired``, ``full``, or the status by which the receiver refused it, such as ``status-410``."""
    document: str
    """JSON that was sent."""


class ListDeadLetters(Order[list[DeadLetter]], frozen=True, tag="dead_letters"):
    """Return the dead letters of all receivers, or of one."""

    receiver: str | None = None
    """Name of the webhook; None = all."""


class ReplayedLetters(msgspec.Struct, frozen=True):
    """Outcome of a replay."""

    replayed: int
    """Number of events that wait for their receiver again."""


class ReplayDeadLetters(Order[ReplayedLetters], frozen=True, tag="replay_dead_letters"):
    """Deliver dead letters of a receiver again: one, or all."""

    is_change = True

    receiver: str
    """Name of the webhook."""
    number: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Number of the dead letter; None = all."""


def document_of(event: LiveEvent[msgspec.Struct], event_id: str, shown: Mapping[str, object] | None = None) -> bytes:
    """Return an event as the JSON document that clients and receivers get; ``shown`` has some of its facts alone."""
    document = EventDocument(event_id, event.type, event.at, event.data if shown is None else shown)
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # text of peers may hold bytes that are not UTF-8
        return msgspec.json.encode(escaped(document))

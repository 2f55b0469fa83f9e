"""Ports of the office: definitions of the configuration, and the database."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from vosd.billing.accounts import Account
from vosd.catalogue.overrides import Key, Override, Overrides, Target
from vosd.catalogue.ports import NOT_KNOWN, Change, SwitchOverrides
from vosd.catalogue.stored_objects import ObjectStore, ObjectVersion
from vosd.cdr.corrections import CorrectedCharge, Correction
from vosd.cdr.past import PastCall
from vosd.cdr.ports import Books
from vosd.cdr.record import CallRecord, ChargeRow
from vosd.routing.calendar import Calendar
from vosd.storage.audit_line import AuditLine
from vosd.storage.deck_ports import OperatorDecks
from vosd.storage.faults import Difference, Verification
from vosd.storage.ledger_values import Balance, Closing, EntryFilter, LedgerEntry, Profit, Statement
from vosd.storage.ports import CallFilter, Payment, Payments, Queries
from vosd.storage.waiting_values import WaitingPayment

if TYPE_CHECKING:
    from vosd.admin.export_profile import ExportProfile
    from vosd.admin.rate_areas import RateGroupSheet
    from vosd.admin.shadow_rating import CdrMap
    from vosd.billing.ports import Rates
    from vosd.billing.rate_group import RateGroup
    from vosd.billing.rates import RatingPolicy
    from vosd.catalogue.catalogue import Catalogue  # these import much
    from vosd.engine.settings import Settings
    from vosd.routing.special_numbers import SpecialNumbers
    from vosd.storage.database import Database


class WrittenGateway(msgspec.Struct, frozen=True):
    """A gateway or phone of the files."""

    list: str
    """The list that it stands in, such as ``routing_gateways``."""
    at: str
    """File and line."""
    keys: Mapping[str, str]
    """Keys with their values as text, those of its template included; secrets are left out."""


class ParameterSheet(msgspec.Struct, frozen=True):
    """A parameter of VOS3000 as it is in force."""

    name: str
    value: str
    source: str
    """``default``, the preset that has another default, file and line, or the version in the database."""
    meaning: str
    """The meaning of the parameter, or the reason why it has no effect."""


class Definitions(Protocol):
    """Objects of the configuration, as far as use cases need them; each is read when it is asked for."""

    def accounts(self) -> Mapping[str, Account]:
        """Return the accounts."""
        ...

    def agents(self) -> Mapping[str, str]:
        """Return the agent of each account that names one."""
        ...

    def gateways(self) -> Collection[str]:
        """Return the names of all gateways and phones."""
        ...

    def written_gateways(self, name: str) -> Sequence[WrittenGateway]:
        """Return what the files call ``name``, whatever mistakes are elsewhere; raises ConfigError."""
        ...

    def gateways_by_list(self) -> Mapping[str, frozenset[str]]:
        """Return the names of ``mapping_gateways``, ``phones`` and ``routing_gateways``."""
        ...

    def payers(self) -> Mapping[str, str]:
        """Return the account of each mapping gateway and phone."""
        ...

    def calendars(self) -> Mapping[str, Calendar]:
        """Return the calendars by name."""
        ...

    def destination_classes(self) -> Collection[str]:
        """Return the names of the classes of destinations."""
        ...

    def rate_groups(self) -> "Sequence[RateGroupSheet]":
        """Return every rate group; raises ConfigError."""
        ...

    def rate_group(self, name: str) -> "RateGroup | None":
        """Return one rate group with its rates; None where there is none; raises ConfigError."""
        ...

    def rates_of(self, account: Account, *, is_vendor: bool) -> "Rates | None":
        """Return the rates that price the calls of an account; None where its group is missing; raises ConfigError."""
        ...

    def free_numbers(self) -> "tuple[SpecialNumbers, RatingPolicy]":
        """Return the numbers that are billed otherwise, and how the seconds of calls to free ones are rounded."""
        ...

    def parameters(self) -> Sequence[ParameterSheet]:
        """Return the parameters in force, and those of the files that have no effect; raises ConfigError."""
        ...

    def check_kind(self, kind: str) -> None:
        """Check that the database may define objects of a kind; raises BadObjectError."""
        ...

    def check_objects(self, versions: Sequence[ObjectVersion]) -> Mapping[str, Account]:
        """Check the configuration with further versions of objects, and return its accounts; raises ConfigError."""
        ...

    def catalogue(self, file: Path | None = None) -> "Catalogue":
        """Return the configuration, or another ``file``, as calls are decided by it; raises ConfigError."""
        ...

    @property
    def settings(self) -> "Settings":
        """Settings of the node, with paths as they are found from here; raises ConfigError."""
        ...

    def export_profile(self, file: Path) -> "ExportProfile":
        """Return the columns and format of an export that a file says; raises ConfigError."""
        ...

    def cdr_map(self, file: Path, price: str | None = None) -> "CdrMap":
        """Return the columns of another switch's call records that a file says; raises ConfigError."""
        ...

    def notice_days_of_deck(self, rate_group: str) -> int:
        """Return how many days ahead increases of a deck have to be known; raises where the group has no deck."""
        ...

    def files(self) -> Sequence[Path]:
        """Return the files of the configuration, the main one first."""
        ...

    def claimed(self) -> AbstractContextManager[None]:
        """Hold the state directory, so that no switch starts meanwhile; raises StateDirectoryError."""
        ...

    @property
    def confirm_above(self) -> Decimal | None:
        """Highest amount that one person books; None = any."""
        ...


class Ledger(Protocol):
    """The ledger as it is read."""

    def entries(self, wanted: EntryFilter) -> AsyncGenerator[LedgerEntry, None]:
        """Yield entries, the oldest first; raises StoreUnavailable."""
        ...

    async def by_hand(self, account: str, limit: int) -> Sequence[LedgerEntry]:
        """Return the latest entries of an account that are not of calls, newest first; raises StoreUnavailable."""
        ...

    async def statement(self, account: str, since: int, until: int) -> Statement:
        """Return an account over a time; raises StoreUnavailable."""
        ...

    def balances(self, moment: int) -> AsyncGenerator[Balance, None]:
        """Yield the balance of every account at a moment; raises StoreUnavailable."""
        ...

    async def profit(self, since: int, until: int) -> Sequence[Profit]:
        """Return what the calls of a time have brought and cost, by currency; raises StoreUnavailable."""
        ...


class Checkpoints(Protocol):
    """Closed periods."""

    async def check_date(self, until: int, now: int) -> None:
        """Check that a date can be closed; raises BadClosingDate or StoreUnavailable."""
        ...

    async def close(
        self, until: int, operator: str, memo: str | None, now: int, audit: AuditLine | None = None
    ) -> Closing:
        """Make a checkpoint of every account; raises BadClosingDate or StoreUnavailable."""
        ...


class Corrections(Protocol):
    """Corrections of what calls have cost."""

    async def preview(self, corrections: Sequence[Correction]) -> Sequence[CorrectedCharge]:
        """Return what ``book`` would change; raises as it does."""
        ...

    async def book(
        self, corrections: Sequence[Correction], audit: AuditLine | None = None
    ) -> Sequence[CorrectedCharge]:
        """Correct calls, all in one transaction or none; return the changed charges, those of a repeat too.

        Raises NoSuchCall, NoSuchCharge, ReferenceTaken, OtherCurrency, ContentRefused or StoreUnavailable.
        """
        ...

    async def history(self, call_id: str) -> Sequence[CorrectedCharge]:
        """Return the corrections of a call, the oldest first; raises StoreUnavailable."""
        ...


class BookedCalls(Protocol):
    """Comparison of ended calls, as the journal has them, with the database."""

    async def compare(self, records: Sequence[CallRecord]) -> Sequence[Difference]:
        """Return what the database lacks of these calls, or holds with other amounts; raises StoreUnavailable."""
        ...

    async def with_cdr(self, call_ids: Sequence[str]) -> Collection[str]:
        """Return those of the calls that have a CDR; raises StoreUnavailable."""
        ...


class CallsExport(Protocol):
    """Calls in the order of their booking."""

    async def newest(self) -> int:
        """Return the number up to which every commit can be read."""
        ...

    async def replaced(self, numbers: Mapping[int, str], after: int, until: int) -> int | None:
        """Return the first export number that another call has than the given one; None = none.

        Looked at are the given numbers, and all with ``after < number <= until``.
        """
        ...

    def pages(self, after: int, until: int, columns: Sequence[str]) -> AsyncGenerator[Sequence[tuple[Any, ...]], None]:
        """Yield the calls with ``after < export_seq <= until`` in the order of their numbers."""
        ...


class Spans(Protocol):
    """Calls of a span as they were rated."""

    def pages(
        self,
        wanted: CallFilter,
        *,
        with_breakdown: bool = False,
        with_charges: bool = False,
        with_tried: bool = False,
        with_vendor_group: bool = False,
    ) -> AsyncGenerator[Sequence[PastCall], None]:
        """Yield the calls that fit, the newest first, in pages; raises DroppedPeriod or StoreUnavailable."""
        ...


class Consumption(Protocol):
    """Cost of calls, as storage sums it up."""

    async def consumed(self, account: str, roles: Collection[str], since: int, until: int) -> Decimal:
        """Return what the calls of an account in a time cost, without tax; raises StoreUnavailable."""
        ...

    async def has_begun(self, account: str, until: int) -> bool:
        """Return whether an account has an entry from before a moment; raises StoreUnavailable."""
        ...


class OverrideStore(SwitchOverrides, Protocol):
    """The overrides and the record of their changes, as people change them. Times are UTC milliseconds.

    Every method that changes something notes first what has expired by then, and writes its line of the audit.
    """

    async def at(self, wall_ms: int) -> Overrides:
        """Return the overrides that were in force at a moment of the past (UTC milliseconds), by their changes.

        Raises:
            StoreUnavailable: try again.
        """
        ...

    async def put(
        self,
        overrides: Sequence[Override],
        now: int,
        configured: Mapping[Key, str] = NOT_KNOWN,
        audit: AuditLine | None = None,
    ) -> None:
        """Set overrides; one of the same key is replaced.

        ``configured``: values of the configuration, which are noted as those before where nothing was overridden.

        Raises:
            ContentRefused: a name is too long; nothing was changed.
            StoreUnavailable: probably nothing was changed; try the same again.
        """
        ...

    async def clear(
        self, keys: Collection[Key], operator: str, now: int, audit: AuditLine | None = None
    ) -> Sequence[Override]:
        """Remove overrides, and return those that there were; where there were none, nothing is written.

        Raises:
            StoreUnavailable: probably nothing was changed; try the same again.
        """
        ...

    async def changes(self, limit: int, name: str | None = None, target: Target | None = None) -> Sequence[Change]:
        """Return the latest changes, newest first; ``name`` and ``target``: of such objects only.

        Raises:
            StoreUnavailable: try again.
        """
        ...


class Validity(Protocol):
    """Time until which accounts may be used, as the ledger has it; UTC milliseconds."""

    async def expiry(self, account: str) -> int | None:
        """Return when an account expires; None = as configured. Raises StoreUnavailable."""
        ...

    async def set(
        self,
        account: str,
        expires_at: int | None,
        configured: int | None,
        operator: str,
        memo: str | None,
        now: int,
        audit: AuditLine | None = None,
    ) -> None:
        """Set it; None = as ``configured``, which the record of changes has as the value before.

        Raises:
            ContentRefused: the name is too long.
            StoreUnavailable: probably nothing was changed; try the same again.
        """
        ...


class WaitingPayments(Protocol):
    """Payments that wait for a second person."""

    async def ask(self, wanted: WaitingPayment, audit: AuditLine | None = None) -> WaitingPayment:
        """Write one down, or return the one of its reference; raises ReferenceTaken or StoreUnavailable."""
        ...

    async def waiting(self) -> Sequence[WaitingPayment]:
        """Return those that wait; raises StoreUnavailable."""
        ...

    async def find(self, number: int) -> WaitingPayment:
        """Return one, whatever became of it; raises NotWaiting or StoreUnavailable."""
        ...

    async def refuse(self, number: int, by: str, at: int, reason: str | None, audit: AuditLine | None = None) -> None:
        """Refuse one; raises NotWaiting or StoreUnavailable."""
        ...


class Audit(Protocol):
    """Lines of the audit, as storage keeps them."""

    async def add(self, line: AuditLine) -> None:
        """Write a line about a change that was made outside of the database; raises StoreUnavailable."""
        ...

    async def newest(self, limit: int, principal: str | None = None, subject: str | None = None) -> Sequence[AuditLine]:
        """Return the newest lines, the newest first; raises StoreUnavailable."""
        ...


class DefinedObjects(ObjectStore, Protocol):
    """Objects of the configuration in the database. A version is never changed and never deleted.

    Every change advances the version of all definitions in the same transaction (``storage.definitions.advance``).
    """

    async def all_versions(self, kinds: Set[str]) -> Sequence[ObjectVersion]:
        """Return all versions of the objects of some kinds.

        Raises:
            StoreUnavailable: try again.
        """
        ...

    async def history(self, kind: str, name: str) -> Sequence[ObjectVersion]:
        """Return all versions of an object, newest first.

        Raises:
            StoreUnavailable: try again.
        """
        ...

    async def add(
        self,
        versions: Sequence[ObjectVersion],
        audit: AuditLine | None = None,
        payments: Sequence[Payment] = (),
        waiting: Sequence[WaitingPayment] = (),
    ) -> None:
        """Add versions in one transaction; each has the number after the newest of its object.

        ``payments`` are booked in the same transaction, and ``waiting`` wait for a second person from it on.

        Raises:
            ObjectsMoved: the number of one is taken; nothing was changed.
            ContentRefused: a name is too long; nothing was changed.
            ReferenceTaken, OtherCurrency, NotWaiting: a payment cannot be booked, or was refused; nothing was changed.
            StoreUnavailable: probably nothing was changed.
        """
        ...


class Stores(Protocol):
    """The database."""

    @property
    def database(self) -> "Database":
        """The database as a whole: for copies, and to drop what is old."""
        ...

    async def check_schema(self) -> None:
        """Check that the tables are those of this version; raises StoreUnavailable."""
        ...

    @property
    def payments(self) -> Payments:
        """Booking of money that does not come from calls."""
        ...

    @property
    def waiting_payments(self) -> WaitingPayments:
        """Payments that wait for a second person."""
        ...

    @property
    def queries(self) -> Queries:
        """Queries for calls and accounts."""
        ...

    @property
    def books(self) -> Books:
        """Standings of the accounts."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Entries, statements and balances."""
        ...

    @property
    def checkpoints(self) -> Checkpoints:
        """Closed periods."""
        ...

    @property
    def consumption(self) -> Consumption:
        """Stored cost of calls."""
        ...

    @property
    def corrections(self) -> Corrections:
        """Corrections of what calls have cost."""
        ...

    @property
    def export(self) -> CallsExport:
        """Calls in the order of their booking."""
        ...

    @property
    def spans(self) -> Spans:
        """Calls of a span as they were rated."""
        ...

    @property
    def overrides(self) -> OverrideStore:
        """Operational overrides."""
        ...

    @property
    def validity(self) -> Validity:
        """Validity of accounts."""
        ...

    @property
    def audit(self) -> Audit:
        """Stored lines of the audit."""
        ...

    @property
    def objects(self) -> DefinedObjects:
        """Objects of the configuration that the database defines."""
        ...

    async def charges_beginning(self, beginning: str, limit: int) -> Mapping[str, Sequence[ChargeRow]]:
        """Return the charges of calls whose id begins so, of those without CDR too; raises StoreUnavailable."""
        ...

    @property
    def decks(self) -> OperatorDecks:
        """Decks of rates."""
        ...

    @property
    def booked_calls(self) -> BookedCalls:
        """Comparison of ended calls with the database."""
        ...

    async def verify(self, report: Callable[[Difference], None], *, whole: bool = False) -> Verification:
        """Recompute the books, ``whole`` also what is closed, and report each difference; raises StoreUnavailable."""
        ...

"""The database as the office uses it; each part is imported when it is used."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from vosd.storage.database import COMMAND_PATIENCE_S, Database

if TYPE_CHECKING:
    from vosd.cdr.record import ChargeRow
    from vosd.storage.access import SqlAccess
    from vosd.storage.audit import SqlAudit
    from vosd.storage.bilateral import SqlEndedCalls
    from vosd.storage.books import SqlBooks
    from vosd.storage.call_sums import SqlCallSums
    from vosd.storage.checkpoints import SqlCheckpoints
    from vosd.storage.consumption import SqlConsumption
    from vosd.storage.corrections import SqlCorrections
    from vosd.storage.decks import SqlDecks
    from vosd.storage.export import SqlExport
    from vosd.storage.faults import BookDifference, Verification
    from vosd.storage.invoices import SqlInvoices
    from vosd.storage.jobs import SqlJobs
    from vosd.storage.ledger import SqlLedger
    from vosd.storage.month_closes import SqlMonthCloses
    from vosd.storage.overrides import SqlOverrides
    from vosd.storage.payments import SqlPayments
    from vosd.storage.people import SqlPeople
    from vosd.storage.queries import SqlQueries
    from vosd.storage.reconcile import SqlBookedCalls
    from vosd.storage.reconciliations import SqlReconciliations
    from vosd.storage.requests import SqlRequests
    from vosd.storage.spans import SqlSpans
    from vosd.storage.stored_objects import SqlObjects
    from vosd.storage.traffic import SqlTraffic
    from vosd.storage.traffic_sums import SqlTrafficSums
    from vosd.storage.validity import SqlValidity
    from vosd.storage.waiting_payments import SqlWaitingPayments


class SqlStores:
    """Parts of the database, MySQL or SQLite."""

    def __init__(self, database: Database) -> None:
        self.database: Final = database
        """The database as a whole: for copies, and to drop what is old."""

    async def check_schema(self) -> None:
        """Check that the tables are those of this version; raises StoreUnavailable, soon where there is no answer."""
        await self.database.check_schema(COMMAND_PATIENCE_S)

    @property
    def access(self) -> "SqlAccess":
        """Tokens of programs, and roles of the installation's own."""
        from vosd.storage.access import SqlAccess

        return SqlAccess(self.database)

    @property
    def payments(self) -> "SqlPayments":
        """Booking of money that does not come from calls."""
        from vosd.storage.payments import SqlPayments

        return SqlPayments(self.database)

    @property
    def waiting_payments(self) -> "SqlWaitingPayments":
        """Payments that wait for a second person."""
        from vosd.storage.waiting_payments import SqlWaitingPayments

        return SqlWaitingPayments(self.database)

    @property
    def people(self) -> "SqlPeople":
        """People who log in, and their sessions."""
        from vosd.storage.people import SqlPeople

        return SqlPeople(self.database)

    @property
    def queries(self) -> "SqlQueries":
        """Queries for calls and accounts."""
        from vosd.storage.queries import SqlQueries

        return SqlQueries(self.database)

    @property
    def books(self) -> "SqlBooks":
        """Standings of the accounts."""
        from vosd.storage.books import SqlBooks

        return SqlBooks(self.database)

    @property
    def ledger(self) -> "SqlLedger":
        """Entries, statements and balances."""
        from vosd.storage.ledger import SqlLedger

        return SqlLedger(self.database)

    @property
    def checkpoints(self) -> "SqlCheckpoints":
        """Closed periods."""
        from vosd.storage.checkpoints import SqlCheckpoints

        return SqlCheckpoints(self.database)

    @property
    def consumption(self) -> "SqlConsumption":
        """Stored cost of calls."""
        from vosd.storage.consumption import SqlConsumption

        return SqlConsumption(self.database)

    @property
    def corrections(self) -> "SqlCorrections":
        """Corrections of what calls have cost."""
        from vosd.storage.corrections import SqlCorrections

        return SqlCorrections(self.database)

    @property
    def traffic(self) -> "SqlTraffic":
        """Sums of calls for reports: adds to them, checks them, makes them anew."""
        from vosd.storage.traffic import SqlTraffic

        return SqlTraffic(self.database)

    @property
    def call_sums(self) -> "SqlCallSums":
        """Sums of calls by prefixes of numbers, of the calls themselves."""
        from vosd.storage.call_sums import SqlCallSums

        return SqlCallSums(self.database)

    @property
    def traffic_sums(self) -> "SqlTrafficSums":
        """Sums of calls as reports read them."""
        from vosd.storage.traffic_sums import SqlTrafficSums

        return SqlTrafficSums(self.database)

    @property
    def export(self) -> "SqlExport":
        """Calls in the order of their booking."""
        from vosd.storage.export import SqlExport

        return SqlExport(self.database)

    @property
    def spans(self) -> "SqlSpans":
        """Calls of a span as they were rated."""
        from vosd.storage.spans import SqlSpans

        return SqlSpans(self.database)

    @property
    def overrides(self) -> "SqlOverrides":
        """Operational overrides."""
        from vosd.storage.overrides import SqlOverrides

        return SqlOverrides(self.database)

    @property
    def validity(self) -> "SqlValidity":
        """Validity of accounts."""
        from vosd.storage.validity import SqlValidity

        return SqlValidity(self.database)

    @property
    def audit(self) -> "SqlAudit":
        """Stored lines of the audit."""
        from vosd.storage.audit import SqlAudit

        return SqlAudit(self.database)

    @property
    def requests(self) -> "SqlRequests":
        """Requests that may be repeated."""
        from vosd.storage.requests import SqlRequests

        return SqlRequests(self.database)

    @property
    def jobs(self) -> "SqlJobs":
        """Long work of the management API."""
        from vosd.storage.jobs import SqlJobs

        return SqlJobs(self.database)

    @property
    def objects(self) -> "SqlObjects":
        """Objects of the configuration that the database defines."""
        from vosd.storage.stored_objects import SqlObjects

        return SqlObjects(self.database)

    @property
    def decks(self) -> "SqlDecks":
        """Decks of rates."""
        from vosd.storage.decks import SqlDecks

        return SqlDecks(self.database)

    @property
    def ended_calls(self) -> "SqlEndedCalls":
        """Calls of a partner by the time of their end."""
        from vosd.storage.bilateral import SqlEndedCalls

        return SqlEndedCalls(self.database)

    @property
    def reconciliations(self) -> "SqlReconciliations":
        """Comparisons of vendors' files with our calls, and disputes."""
        from vosd.storage.reconciliations import SqlReconciliations

        return SqlReconciliations(self.database)

    @property
    def invoices(self) -> "SqlInvoices":
        """Invoices, and the ledger entries that they are about."""
        from vosd.storage.invoices import SqlInvoices

        return SqlInvoices(self.database)

    @property
    def month_closes(self) -> "SqlMonthCloses":
        """Months that were closed, with the auditor's pages."""
        from vosd.storage.month_closes import SqlMonthCloses

        return SqlMonthCloses(self.database)

    async def charges_beginning(self, beginning: str, limit: int) -> "Mapping[str, Sequence[ChargeRow]]":
        """Return the charges of calls whose id begins so, by call; at most of ``limit`` calls."""
        from vosd.storage.queries import charges_beginning

        return await charges_beginning(self.database, beginning, limit)

    @property
    def booked_calls(self) -> "SqlBookedCalls":
        """Comparison of ended calls with the database."""
        from vosd.storage.reconcile import SqlBookedCalls

        return SqlBookedCalls(self.database)

    async def verify(
        self,
        report: "Callable[[BookDifference], None]",
        *,
        whole: bool = False,
        passed: "Callable[[float, int], None] | None" = None,
    ) -> "Verification":
        """Recompute the books and report each difference; ``passed`` is as in ``verify_ledger``."""
        from vosd.storage.verify import verify_ledger

        return await verify_ledger(self.database, report, whole=whole, passed=passed)

"""The top level of the file without the lists of objects: what holds for the whole switch.

Each field's docstring is its documentation: ``docs/configuration.md`` is generated from them.
"""

import re
from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, ClassVar, Final

from vosd.base.secret import Secret
from vosd.config.keys import later, names_of_vos3000
from vosd.config.keys.access import AccessKeys
from vosd.config.keys.alarms import AlarmKeys
from vosd.config.keys.api import ApiKeys
from vosd.config.keys.bilateral import BilateralKeys
from vosd.config.keys.billing import BillingKeys
from vosd.config.keys.call_reports import CallReportKeys
from vosd.config.keys.dynamic_blacklist import DynamicBlacklistKeys
from vosd.config.keys.hep import HepKeys
from vosd.config.keys.invoices import InvoiceKeys
from vosd.config.keys.limits import LimitKeys
from vosd.config.keys.media import MediaKeys
from vosd.config.keys.number_portability import NumberPortabilityKeys
from vosd.config.keys.presets import Preset
from vosd.config.keys.radius import RadiusKeys
from vosd.config.keys.redirect_server import RedirectServerKeys
from vosd.config.keys.retention import RetentionKeys
from vosd.config.keys.routing import RoutingKeys
from vosd.config.keys.sip import SipKeys
from vosd.config.keys.stir import StirKeys
from vosd.config.keys.webhooks import ReceiverKeys
from vosd.config.places import CONTROL_SOCKET, DATABASE_URL, REPORT_SECONDS, STATE_DIR
from vosd.config.reader.addresses import http_listener, ip as ip_address, network
from vosd.config.reader.amounts import overdraft
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    object_name,
    switch,
    text_where,
    whole,
)
from vosd.config.reader.files import database_url, file_path, socket_path
from vosd.config.reader.renamed import Renamed, renamed
from vosd.config.reader.times import start_of_hours, time_zone
from vosd.engine.settings import LOOPBACK, HttpListener, LogLevel, MetricsSettings, OnSigterm, PhoneServiceSettings


class NightlyKeys(Keys):
    """Work of the switch on its books once a day, in a process beside the calls. A reload changes it."""

    at: Annotated[int | None, start_of_hours()] = None
    """Time of day, such as 04:30, with few calls. Default: never."""
    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone of ``at``. Default: the machine's."""
    verify: Annotated[bool, switch()] = True
    """As `vosd ledger verify`: differences are the alarm `ledger_differs`."""
    minimum: Annotated[bool, switch()] = True
    """As `vosd ledger minimum` for the month before, on the first seven days of each month of `invoices.timezone`.

    The first run after a stop that was longer books it on any day.
    """
    invoices: Annotated[bool, switch()] = True
    """Overdue invoices are the alarm `invoices_overdue`; `invoices.lock_after_days` blocks their accounts.

    Without it the next run ends these blocks.
    """


_PATH: Final = re.compile(r"/[!-~]{0,199}\Z")


def url_path() -> FromText:
    """Read the path of a URL, with a query or without."""
    return text_where(_PATH.match, "a path such as /phones, at most 200 characters without blanks")


class PhoneServiceKeys(Keys):
    """A program that is notified by HTTP POST when phones register or expire. Default: none. A reload changes it."""

    ip: Annotated[str | None, ip_address()] = None
    """Address that the program listens on."""
    port: Annotated[int, whole(1, 65_535)] = 80
    """TCP port that the program listens on."""
    path: Annotated[str, url_path()] = "/"
    """Path of the URL."""

    def _judge(self) -> None:
        if self.ip is None and self.model_fields_set:
            raise KeyProblemError("ip", "the address that the program listens on")

    def settings(self) -> PhoneServiceSettings | None:
        """Return its address and path; None = there is no such program."""
        return None if self.ip is None else PhoneServiceSettings(self.ip, self.port, self.path)


class MetricsKeys(Keys):
    """``/metrics`` for Prometheus, ``/healthz`` and ``/readyz``, by a process of its own. Default: none.

    A reload changes it.
    """

    listen: Annotated[HttpListener | None, http_listener(9464)] = None
    """Address at which HTTP is answered. There is neither TLS nor a password: for another machine than this one, choose
    an address of the internal network, and name who may ask in ``allow``."""
    allow: Annotated[tuple[Annotated[IPv4Network | IPv6Network, network()], ...], ONE_OR_MANY] = LOOPBACK
    """Addresses and networks that get an answer; others get 403."""
    max_gateways: Annotated[int, whole(0, 100_000)] = 2_000
    """Gateways that have figures of their own, about 20 lines each; routing gateways come first."""

    def _judge(self) -> None:
        if self.listen is None and self.model_fields_set:
            raise KeyProblemError("listen", "an address and a port, such as 127.0.0.1:9464")

    def settings(self) -> MetricsSettings | None:
        """Return the listener and who may ask; None = there is none."""
        return None if self.listen is None else MetricsSettings(self.listen, self.allow, self.max_gateways)


class DatabaseKeys(Keys):
    """Database of CDRs, ledger and balances."""

    url: Annotated[Secret, database_url()] = Secret(DATABASE_URL)
    """``sqlite+aiosqlite:///FILE`` or ``mysql+aiomysql://USER:PASSWORD@HOST:PORT/NAME``; best with ``${ENV}``."""
    replica: Annotated[Secret | None, database_url()] = None
    """A copy of the database that MySQL or MariaDB keeps by replication. Reports are read from it, and the management
    API and its jobs read lists of calls and of the ledger from it, however long; what has just been booked may be
    missing there. While it is away they read the database itself, as exports by number, totals of partners and the
    close of a month always do: none may be missing there. Written as ``url``."""
    report_seconds: Annotated[int, whole(0, 86_400, "seconds")] = REPORT_SECONDS
    """Longest time of one statement in MariaDB, in MySQL of a SELECT, of a report at the terminal or at a fixed time;
    the server then ends it, and the report fails. Those of the API have ``api.statement_seconds``. 0 = any."""
    start_without: Annotated[int, whole(0, 86_400, "seconds")] = 10
    """Time that a start waits for the database before it takes calls without it, by the balances, overrides and
    registrations that were known last; without those it waits on. 0 always waits. Only with MySQL or MariaDB."""
    start_without_age: Annotated[int, whole(0, 31_536_000, "seconds")] = 3_600
    """Greatest age of those balances, overrides and registrations, which is how long ago this switch ran last: by older
    ones no start goes on, since another machine may have been the switch. 0 = any age."""
    away_cap: Annotated[Decimal | None, overdraft()] = Decimal(1_000)
    """Limit of the cost of the calls of an account with an overdraft limit in one outage of the database, beside what
    its balance allows, each in its currency; ``unlimited`` sets no such bound. An account may set its own
    ``database_away_cap``. A reload changes it for the next outage."""

    not_built: ClassVar[frozenset[str]] = frozenset({"password_file", "pool_size"})


class CdrKeys(Keys):
    """Batches in which calls are written to the database."""

    batch_rows: Annotated[int, whole(1, 10_000)] = 500
    """A batch is committed when it holds this many calls."""
    batch_ms: Annotated[int, whole(1, 10_000)] = 200
    """A batch is committed at the latest this many milliseconds after its first call."""


class JournalKeys(Keys):
    """For how long journal files are kept after all their calls are booked, in case the database loses commits.

    Files have 64 MiB; those with unbooked calls are never removed and do not count.
    """

    keep_minutes: Annotated[int, whole(0, 10_080)] = 60
    """Minutes since the last call of a file was booked, or since the last start; 0 keeps none."""
    keep_files: Annotated[int | None, whole(0, 10_000)] = None
    """Largest number of full files, or as much in smaller ones, since each start begins one; the oldest are removed
    first. An hour at 100 answered calls a second is about 25 files. Set it to what the disk has room for. Default:
    SERVER_CDR_FILE_WRITE_MAX."""


class TraceKeys(Keys):
    """Memory for the messages of running and failed calls, which ``cdr show --ladder`` shows."""

    recent_mb: Annotated[int, whole(0, 65_536)] = 64
    """MiB for the messages of running calls; the oldest are dropped first; 0 keeps none."""
    failed_mb: Annotated[int, whole(0, 65_536)] = 64
    """MiB besides for those of calls that have failed."""


class LogKeys(Keys):
    """Settings of the log."""

    level: Annotated[LogLevel, choice(LogLevel)] = LogLevel.INFO
    """The least urgent lines that are written. A reload changes it."""


class InstallationKeys(Keys):
    """The top level of the file, without the lists of objects."""

    node: Annotated[str, object_name()] = "vosd"
    """Name of this switch in CDRs."""
    sip: SipKeys = SipKeys()
    access: AccessKeys = AccessKeys()
    media: MediaKeys = MediaKeys()
    database: DatabaseKeys = DatabaseKeys()
    state_dir: Annotated[Path, file_path()] = STATE_DIR
    """Directory of the journal and other state, created if missing; relative to the working directory."""
    control_socket: Annotated[Path, socket_path()] = CONTROL_SOCKET
    """Unix socket through which the commands reach the daemon; relative to the working directory."""
    shutdown_grace: Annotated[int, whole(0, 86_400)] = 10
    """Seconds for which established calls may go on after a stop was requested. A reload changes it."""
    on_sigterm: Annotated[OnSigterm, choice(OnSigterm)] = OnSigterm.END
    """Treatment of calls on SIGTERM: ``end`` ends them as SIGINT does, ``keep`` writes them down and exits, and the
    next start goes on with them, if it comes within ``resume_within``. A reload changes it."""
    resume_within: Annotated[int, whole(0, 604_800)] = 300
    """Seconds after a crash, a power loss or a stop with ``keep`` within which the next start goes on with established
    calls; after a longer time they end as Lost, and are charged up to the last proven instant. 0 = never."""
    limits: LimitKeys = LimitKeys()
    billing: BillingKeys = BillingKeys()
    dynamic_blacklist: DynamicBlacklistKeys = DynamicBlacklistKeys()
    routing: RoutingKeys = RoutingKeys()
    number_portability: NumberPortabilityKeys = NumberPortabilityKeys()
    redirect_server: RedirectServerKeys = RedirectServerKeys()
    stir: StirKeys = StirKeys()
    phone_service: PhoneServiceKeys = PhoneServiceKeys()
    alarms: AlarmKeys = AlarmKeys()
    call_reports: CallReportKeys = CallReportKeys()
    webhooks: tuple[ReceiverKeys, ...] = ()
    radius: RadiusKeys = RadiusKeys()
    offline_gateway: Annotated[str | None, object_name("routing_gateways")] = None
    """The routing gateway that takes the calls to unregistered phones that name none themselves."""
    cdr: CdrKeys = CdrKeys()
    journal: JournalKeys = JournalKeys()
    trace: TraceKeys = TraceKeys()
    hep: HepKeys = HepKeys()
    log: LogKeys = LogKeys()
    metrics: MetricsKeys = MetricsKeys()
    api: ApiKeys = ApiKeys()
    retention: RetentionKeys = RetentionKeys()
    nightly: NightlyKeys = NightlyKeys()
    bilateral: tuple[BilateralKeys, ...] = ()
    invoices: InvoiceKeys = InvoiceKeys()
    preset: Annotated[Preset | None, choice(Preset)] = None
    """``vos3000``: every default as VOS3000's. What the file sets itself still wins."""

    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.INSTALLATION)
    not_built: ClassVar[frozenset[str]] = later.INSTALLATION
    apart: ClassVar[Mapping[str, str]] = {
        "include": "Files, or patterns such as ``partners/*.yaml``, relative to the file that names them.",
        "templates": "Keys by name, for accounts, gateways and phones with ``template: NAME``.",
        "parameters": "VOS3000's parameters by their own names.",
        "rate_groups": "List of rate groups.",
        "accounts": "List of accounts.",
        "mapping_gateways": "List of customers' trunks.",
        "phones": "List of telephones.",
        "routing_gateways": "List of vendors' trunks.",
        "number_lists": "Named lists of numbers.",
        "number_pools": "Named pools of calling numbers.",
        "dids": "Inventory of numbers that were given to customers.",
        "address_groups": "Named groups of source addresses.",
        "gateway_groups": "Named groups of routing gateways.",
        "calendars": "List of calendars.",
        "routing_plans": "List of routing plans.",
        "reports": "List of reports that are made at fixed times.",
        "period_rates": "List of period rates.",
        "destination_classes": "Named sets of called prefixes, for limits of their use.",
        "currencies": "List of currencies whose fees have decimals of their own.",
        "exchange_rates": "List of rates of exchange, which are needed where two currencies meet on a call.",
    }

    def _judge(self) -> None:
        if len({each.name for each in self.webhooks}) < len(self.webhooks):
            raise KeyProblemError("webhooks", "each name once")
        if len({each.account for each in self.bilateral}) < len(self.bilateral):
            raise KeyProblemError("bilateral", "each account once")

"""Settings of the installation: sockets, files, batches, shutdown.

What decides calls (gateways, rates, accounts) is in the catalogue; the form in YAML is in ``config.keys``, with the
meaning of fields that have no text here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from vosd.base.host import bracketed
from vosd.base.secret import Secret
from vosd.billing.invoice_terms import IssuerTerms
from vosd.cdr.retention import Age, KeepSettings
from vosd.control.events import EventType
from vosd.engine.overload.load import OverloadSettings
from vosd.obs.alarms import Level
from vosd.obs.events import Event
from vosd.radius.settings import RadiusSettings
from vosd.sip.registration.keepalive import KeepAlive
from vosd.sip.settings import SipSettings
from vosd.traffic.reports import CRITERIA
from vosd.traffic.schedule import ReportRhythm
from vosd.trunks.gateways import Address
from vosd.trunks.media import MediaEngineSettings

LOOPBACK: Final[tuple[IPv4Network | IPv6Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class SipListener(NamedTuple):
    """One socket for SIP: transport in lower case, IP address without brackets, port."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{bracketed(self.host)}:{self.port}"


class NameServer(NamedTuple):
    """Address of a name server: IP address without brackets, port."""

    host: str
    port: int


class OnSigterm(Enum):
    """Treatment of established calls on SIGTERM."""

    END = "end"
    KEEP = "keep"


class LogLevel(Enum):
    """Lowest level of the lines that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CdrSettings:
    """Size and age of a batch: booked calls that share a transaction."""

    batch_rows: int = 500
    batch_ms: int = 200


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """Memory limits for the messages of calls."""

    recent_bytes: int = 64 * 1024 * 1024
    """Memory for running calls, and those that ended well while calls were followed."""
    failed_bytes: int = 64 * 1024 * 1024
    """Memory for calls that have failed."""


class HepOnly(Enum):
    """Calls whose messages are copied to a capture server."""

    ALL = "all"
    FAILED = "failed"


class HepServer(NamedTuple):
    """Capture server: transport, IP address or name, port."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class HepSettings:
    """Capture server that gets copies of messages by HEP 3."""

    server: HepServer
    capture_id: int = 2001
    only: HepOnly = HepOnly.ALL
    key: Secret | None = None


class HttpListener(NamedTuple):
    """A socket for HTTP: IP address without brackets, port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Address of the metrics, and the sources that may ask."""

    listen: HttpListener
    allow: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK
    """Sources that get an answer."""
    max_gateways: int = 2_000
    """Gateways that have metrics of their own."""


@dataclass(frozen=True, slots=True)
class BrandSettings:
    """Name and looks of the console."""

    name: str = "vosd"
    colour: str | None = None
    """``#rrggbb``; None = the default."""
    logo_file: str | None = None
    """Path; None = the default."""
    pay_in: tuple[str, ...] = ()
    """Lines for customers, with ``{account}`` for the id of their account."""


class AccessLogLines(Enum):
    """Answers of the management API that the log has."""

    ALL = "all"
    CHANGES_AND_FAILURES = "changes_and_failures"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Address of the management API, and how its clients are protected."""

    listen: HttpListener
    certificate: str | None = None
    """Path; None = no TLS."""
    key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies whose word about the client's address is taken."""
    token_rate: int = 500
    """Requests a second of one token or session; 0 = any."""
    address_rate: int = 1_000
    """Requests a second of one address; 0 = any."""
    statement_seconds: int | None = 20
    """Longest time of one statement in MariaDB; None = any."""
    replica: Secret | None = None
    """URL of a copy of the database, for heavy reads; None = there is none."""
    console: bool = True
    """Whether the console is served beside it."""
    brand: BrandSettings = BrandSettings()
    allow: tuple[str, ...] = ()
    """Networks whose clients are answered; none = all."""
    certificate_ends_ms: int | None = None
    """UTC; None = unknown. Another one starts the process again, which reads the files when it starts."""
    access_log: AccessLogLines = AccessLogLines.ALL


@dataclass(frozen=True, slots=True)
class IdentityProviderSettings:
    """OpenID Connect provider by which people log in, and what its claims mean here."""

    issuer: str
    client_id: str
    client_secret: Secret | None
    redirect_uri: str
    page: str
    scopes: tuple[str, ...]
    name_claim: str
    role_claim: str
    """Claims within claims have dots."""
    roles: tuple[tuple[str, str], ...]
    """Values of the claim, each with the role that it gives; the first that fits counts."""
    role: str | None
    """Role of people whose claim has none of these values; None = they may not log in."""
    makes_people: bool
    links_people: bool


@dataclass(frozen=True, slots=True)
class PhoneServiceSettings:
    """Program that receives the registrations of phones."""

    host: str
    """IP address without brackets."""
    port: int
    path: str = "/"

    def __str__(self) -> str:
        return f"http://{bracketed(self.host)}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """HTTP server that receives alarms."""

    url: str
    secret: Secret | None = None
    """Key of the signature; None = reports are not signed."""
    level: Level = Level.INFO


class MailSecurity(Enum):
    """Protection of the connection to a mail server."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Mail server, and who receives alarms by it."""

    server: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    security: MailSecurity = MailSecurity.STARTTLS
    username: str = ""
    """Empty = it asks for none."""
    password: Secret | None = None
    interval_s: int = 300
    level: Level = Level.WARNING


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """Limits of alarms, their levels, and who receives them; a limit of 0 is none."""

    asr: int = 40
    """Percent of answered attempts."""
    pdd_ms: int = 3_000
    acd_s: int = 0
    customer_asr: int = 5
    """Percent of answered calls of a mapping gateway."""
    media_loss: int = 3
    """Percent of the packets of a gateway."""
    customer_media_loss: int = 5
    """Percent of the packets of a mapping gateway."""
    media_ports: int = 90
    """Percent of the ports of an address that are in use."""
    setup_ms: int = 0
    margin: int = 0
    prefix_margin: int = 0
    without_cdr: int = 0
    """Calls of an hour that leave no CDR; 0 = any number."""
    overdraft_used: int = 80
    """Percent of the income of an hour."""
    min_calls: int = 100
    booking_age_s: int = 300
    journal_sync_ms: int = 1_000
    disk_free: int = 10
    """Percent."""
    cpu: int = 70
    """Percent of one core."""
    memory: int = 80
    """Percent of the machine's."""
    loop_lag_ms: int = 50
    clock_jump_ms: int = 2_000
    call_seconds: int = 14_400
    cps_factor: int = 5
    """Multiple of the calls a second of its past that a mapping gateway may have; 0 = any number."""
    cps_floor: int = 20
    """As many calls a second are always allowed."""
    expiry_days: int = 7
    """Accounts that expire sooner are an alarm."""
    past_days: int = 14
    """Number of days in the past of destinations."""
    hysteresis: int = 10
    levels: Mapping[Event, Level] = field(default_factory=dict)
    """Levels that differ from the usual ones."""
    webhook: WebhookSettings | None = None
    mail: MailSettings | None = None


class CallReportState(Enum):
    """A state of a call that is reported."""

    TRYING = "trying"
    """A gateway is tried; reported for each."""
    RINGING = "ringing"
    """It rings, or sends early media; reported once for each gateway."""
    ANSWERED = "answered"
    ENDED = "ended"
    """It has ended, or was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Waiting and repetition of reports to a server."""

    retry: bool = True
    retry_interval_ms: int = 5_000
    retry_max_ms: int = 0
    """The interval doubles with each failure up to this; below ``retry_interval_ms``: it stays as it is."""
    retry_one_max_ms: int = 0
    """As ``retry_max_ms``, of a report that fails while the server takes others; the longer of both counts."""
    max_age_s: int = 3_600
    """A report that is older is dropped."""
    queue: int = 10_000
    """Most reports that wait."""
    connections: int = 4
    """Number of reports that are sent at a time."""

    @property
    def couriers(self) -> int:
        """Number of tasks that send reports."""
        return self.connections


@dataclass(frozen=True, slots=True)
class CallReportSettings(DeliverySettings):
    """HTTP server that receives the states of calls."""

    url: str
    secret: Secret | None = None
    """Key of the signature; None = reports are not signed."""
    states: tuple[CallReportState, ...] = tuple(CallReportState)
    allow_private: bool = True
    """Whether the server may be at an address that is not of the internet, such as this machine."""


class AccountedCalls(Enum):
    """Calls that are accounted."""

    OFF = "off"
    ANSWERED = "answered"
    ALL = "all"
    """A call without an answer has a Stop, too, without a Start."""


@dataclass(frozen=True, slots=True)
class AccountingSettings(DeliverySettings):
    """Accounting of calls at RADIUS servers."""

    radius: RadiusSettings
    retry_one_max_ms: int = field(default=900_000, kw_only=True)
    """A server does not answer what it cannot record, which keeps a connection for half a minute each time."""
    calls: AccountedCalls = AccountedCalls.ANSWERED
    interim_s: int = 0

    @property
    def couriers(self) -> int:
        """Number of tasks that send records: most of them wait for answers that are overdue."""
        return 4 * self.connections


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """HTTP server that receives live events."""

    name: str
    types: frozenset[EventType]
    delivery: CallReportSettings


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """For how long records are kept; None = for ever."""

    at_s: int | None = None
    """When older ones are dropped every day, in seconds since midnight; None = only by hand."""
    zone: tzinfo | None = None
    """The zone of midnight; None = the machine's."""
    minimum: Age | None = None
    """Nothing younger is dropped."""
    calls: Age | None = None
    ledger: Age | None = None
    numbers: Age | None = None
    payments: Age | None = None
    """Older entries of the ledger that are not of calls are archived and dropped."""
    payments_archive: Path | None = None
    """Directory of the archives; None = ``archive`` in ``state_dir``."""
    daily_totals: Age | None = None
    sums: Age | None = None
    """Older sums of calls for reports are dropped."""
    exports: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class NightlySettings:
    """Work on the books once a day."""

    at_s: int | None = None
    """Time of day in seconds since midnight; None = never."""
    zone: tzinfo | None = None
    """The zone of midnight; None = the machine's."""
    verify: bool = True
    minimum: bool = True
    """On the first days of a month: book what accounts lack of their minimum of the month before."""
    invoices: bool = True
    """Look for overdue invoices."""


@dataclass(frozen=True, slots=True)
class BilateralSettings:
    """A partner whose switch is asked for totals of the calls between both."""

    account: str
    url: str
    their_account: str
    token: Secret
    percent: Decimal
    amount: Decimal
    """A difference is an alarm if it is more than both."""


@dataclass(frozen=True, slots=True)
class InvoiceSettings:
    """Invoices: their issuers and their form."""

    issuer: IssuerTerms = field(default_factory=IssuerTerms)
    """The installation."""
    agents: Mapping[str, IssuerTerms] = field(default_factory=dict)
    """Agents that have terms of their own, by account."""
    zone: str = "UTC"
    template_file: Path | None = None
    labels_file: Path | None = None
    logo_file: Path | None = None
    lock_after_days: int | None = None

    def terms_of(self, issuer: str, name: str | None) -> IssuerTerms:
        """Return the terms of an issuer; empty = the installation.

        An agent without own ones has its account's ``name``, else its id, with numbers and days of the installation.
        """
        if not issuer:
            return self.issuer
        found = self.agents.get(issuer)
        if found is not None:
            return found if found.name else msgspec.structs.replace(found, name=name or issuer)
        return msgspec.structs.replace(self.issuer, name=name or issuer, address=(), tax_id="", bank=(), contact=())


class ReportForm(Enum):
    """Kind of file that a scheduled report is."""

    XLSX = "xlsx"
    CSV = "csv"
    PDF = "pdf"


@dataclass(frozen=True, slots=True)
class ScheduledReport:
    """A report at a fixed time, about the period that is over."""

    name: str
    report: str
    every: ReportRhythm
    at_s: int
    """Seconds since the midnight behind the period."""
    zone: str
    group: str | None
    account: str | None
    gateway: str | None
    area: str | None
    form: ReportForm
    directory: Path | None
    mail: tuple[str, ...]
    below: bool | None = None
    vendor: str | None = None
    reason: str | None = None
    answered: bool | None = None
    callee: str | None = None
    caller: str | None = None
    callee_digits: int | None = None
    caller_digits: int | None = None
    source: str = field(default="", compare=False)
    """Place of its definition: file and line, or ``database``. A report that has only moved is the same one."""

    def chosen(self) -> dict[str, str | int | bool]:
        """Return the criteria of its calls that are given, as orders name them."""
        given = ((name, getattr(self, name)) for name in CRITERIA)
        return {name: value for name, value in given if value is not None}


@dataclass(frozen=True, slots=True)
class PortabilitySettings:
    """The server that knows the routing numbers of called numbers; either ``url`` or ``server``."""

    url: str = ""
    """With ``{number}`` in it; http or https."""
    field: str = ""
    """Field of the JSON document that has the routing number, with dots; empty = the body is the routing number."""
    authorization: Secret | None = None
    """Value of the header of that name."""
    server: Address | None = None
    """A SIP redirect server, with an IP address."""
    timeout_ms: int = 1_000
    cache_entries: int = 50_000
    cache_ttl_s: int = 3_600


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """Certificates of callers' signatures: which are trusted, and how they are fetched."""

    roots: tuple[str, ...]
    """In PEM."""
    revocations: tuple[bytes, ...] = ()
    """Lists of revoked certificates, in PEM or DER."""
    timeout_ms: int = 2_000
    cache_entries: int = 1_000
    cache_ttl_s: int = 3_600
    """Longest time that a certificate is kept; so long where its server says nothing."""
    allow_private: bool = False
    """Whether private addresses are connected to, and any port."""


@dataclass(frozen=True, slots=True)
class LookupSettings:
    """Servers that are asked about calls."""

    portability: PortabilitySettings | None = None
    redirect_server: Address | None = None
    """With an IP address."""
    certificates: CertificateSettings | None = None


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Name servers, and cache times of their answers."""

    servers: tuple[NameServer, ...] = ()
    """Empty = those of the operating system."""
    timeout_ms: int = 2_000
    attempts: int = 2
    min_ttl_s: int = 5
    max_ttl_s: int = 3_600
    """An answer is cached for its TTL, within these limits."""
    stale_s: int = 86_400


@dataclass(frozen=True, slots=True)
class Settings:
    """Validated settings of one node."""

    node: str
    listen: tuple[SipListener, ...]
    """Sockets to open; at least one."""
    advertise: tuple[str | None, ...]
    """Address for Contact and Via of each of ``listen``; None = the address of the listening socket."""
    sip: SipSettings
    database_url: Secret
    state_dir: Path
    control_socket: Path
    shutdown_grace_s: int = 10
    """Time for established calls to end after a stop was requested."""
    on_sigterm: OnSigterm = OnSigterm.END
    resume_within_s: int = 300
    """Time after the end of a process within which a start goes on with its established calls; 0 = never."""
    cdr: CdrSettings = field(default_factory=CdrSettings)
    replica: Secret | None = None
    """URL of a copy of the database, for reports at fixed times; None = there is none."""
    report_statement_s: int | None = 60
    """Longest time of one statement of such a report, in MariaDB; None = any."""
    start_without_s: int = 10
    """Time that a start waits for the database before it goes on without; 0 = without end."""
    start_without_age_s: int = 3_600
    """Greatest age of what was known last for that; 0 = any."""
    journal: KeepSettings = field(default_factory=KeepSettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    hep: HepSettings | None = None
    """None = no messages are copied."""
    dns: DnsSettings = field(default_factory=DnsSettings)
    media: MediaEngineSettings = field(default_factory=MediaEngineSettings)
    keep_alive: KeepAlive = field(default_factory=KeepAlive)
    """Keep-alives for registered endpoints behind NAT."""
    country_file: Path | None = None
    """File that has the countries of addresses; None = they are not known."""
    phone_service: PhoneServiceSettings | None = None
    lookups: LookupSettings = field(default_factory=LookupSettings)
    metrics: MetricsSettings | None = None
    api: ApiSettings | None = None
    identity_provider: IdentityProviderSettings | None = None
    log_level: LogLevel = LogLevel.INFO
    overload: OverloadSettings = field(default_factory=OverloadSettings)
    retention: RetentionSettings = RetentionSettings()
    nightly: NightlySettings = NightlySettings()
    bilateral: tuple[BilateralSettings, ...] = ()
    reports: tuple[ScheduledReport, ...] = ()
    invoices: InvoiceSettings = field(default_factory=InvoiceSettings)
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    call_reports: CallReportSettings | None = None
    webhooks: tuple[ReceiverSettings, ...] = ()
    radius: RadiusSettings | None = None
    """The servers; None = there are none."""
    accounting: AccountingSettings | None = None
    """None = no call is accounted."""

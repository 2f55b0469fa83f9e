"""The keys of the installation's own sections.

Each field's docstring is its manual: ``docs/configuration.md`` is made of them. The objects that a call is
decided by are in ``objects.py``, VOS3000's parameters in ``parameters.py``.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, model_validator

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.secret import Secret
from vosd.config.keys import later
from vosd.config.keys.advertise import Advertised, advertise_fault, advertised, one_for_all
from vosd.config.keys.model import Keys
from vosd.config.keys.phone_service import PhoneServiceKeys
from vosd.config.reader.addresses import listener, name_server
from vosd.config.reader.fields import (
    KeyProblemError,
    choice,
    digest_algorithm,
    line_of_text,
    milliseconds,
    object_name,
    one_or_many,
    switch,
    whole,
)
from vosd.config.reader.files import database_url, file_path, socket_path
from vosd.engine.settings import Listener, LogLevel, NameServer, OnSigterm
from vosd.net.settings import TlsVersion, VerifyClient
from vosd.net.shield import SCANNERS
from vosd.sip.digest.hashing import Algorithm

HIDDEN: Final = "hidden"
"""``sip.server`` of a switch that does not say what it is."""


class UnknownSource(Enum):
    """What a request from an address that no gateway has gets."""

    DROP = "drop"
    REJECT = "reject"


class Preset(Enum):
    """A set of defaults."""

    VOS3000 = "vos3000"


class TimerKeys(Keys):
    """Base timers of RFC 3261 section 17."""

    t1: Annotated[int, milliseconds(10, 10_000)] = 500
    """Estimate of the round trip; the first retransmission comes after it, 64 of it end a transaction."""
    t2: Annotated[int, milliseconds(10, 60_000)] = 4_000
    """Longest wait between retransmissions of anything but INVITE."""
    t4: Annotated[int, milliseconds(10, 60_000)] = 5_000
    """Longest time a message stays in the network."""

    @model_validator(mode="after")
    def _t1_is_the_shortest(self) -> "TimerKeys":
        if self.t2 < self.t1:
            raise KeyProblemError("t2", "no less than t1")
        return self


class SipLimitKeys(Keys):
    """How large a message may be before it is refused unread."""

    max_message_bytes: Annotated[int, whole(1_000, 65_535)] = 65_535
    """Bytes of a whole message."""
    max_headers: Annotated[int, whole(20, 10_000)] = 256
    """Header fields of a message."""
    max_line: Annotated[int, whole(200, 65_535)] = 8_192
    """Characters of one header line, folded ones together."""


class ConnectionKeys(Keys):
    """How much of the switch the connections of TCP and TLS may take."""

    max: Annotated[int, whole(1, 1_000_000)] = 10_000
    """Open at the same time. The process needs as many open files, systemd's ``LimitNOFILE``."""
    max_per_source: Annotated[int, whole(1, 1_000_000)] = 1_000
    """Accepted from one address."""
    max_unknown: Annotated[int, whole(0, 1_000_000)] = 200
    """Accepted from all unknown addresses together: phones before they register, far ends of dialogs, scanners."""
    max_unknown_per_source: Annotated[int, whole(1, 1_000_000)] = 20
    """Accepted from one unknown address (of IPv6: from its /64)."""
    idle_timeout: Annotated[int, milliseconds(1_000, 86_400_000)] = 3_600_000
    """Closed after so long without a byte in either direction. A keep-alive (RFC 5626) counts where the address is a
    gateway's or a registered phone's; from others only messages do."""
    unknown_rate: Annotated[int, whole(0, 100_000)] = 50
    """Accepted a second from all the addresses together that no gateway has, twice as many at once; 0 = no limit."""
    unknown_rate_per_source: Annotated[int, whole(0, 100_000)] = 10
    """Accepted a second from one of them (of IPv6: from its /64), twice as many at once; 0 = no limit."""


class ShieldKeys(Keys):
    """What one source address may send, judged before it is read. IPv6 counts by /64. A reload changes it."""

    stranger_rate: Annotated[int, whole(0, 1_000_000)] = 50
    """Messages a second of an address that no gateway has, but for those within our calls; 0 = no limit.
    What is more is dropped and counted."""
    stranger_burst: Annotated[int, whole(1, 1_000_000)] = 250
    """Messages that such an address may send at once: raise it where many phones stand behind one address."""
    gateway_rate: Annotated[int, whole(0, 1_000_000)] = 5_000
    """Requests a second of a gateway's address, only of those outside calls; 0 = no limit. What is more gets 503 with
    Retry-After."""
    block: Annotated[int, whole(0, 86_400, "seconds")] = 30
    """For how long a stranger is not heard of whom 2,000 messages a second come to nothing, and four times
    `stranger_rate`; 0 = never. Gateways are never blocked."""
    scanners: Annotated[tuple[Annotated[str, line_of_text(3, 64)], ...], BeforeValidator(one_or_many)] = SCANNERS
    """Requests of strangers whose User-Agent contains one of these are dropped; case does not matter."""


class OverloadKeys(Keys):
    """When there is too much to do, new calls are refused, so that those that run go on. A reload changes it."""

    max_lag: Annotated[int, milliseconds(0, 10_000)] = 100
    """How long a new call may wait for its turn. Where it is exceeded for 100 ms on end, those that have waited longer
    get 503 with Retry-After, until it was below half of this for a second; 0 refuses none."""


class TlsKeys(Keys):
    """Who we are to peers over TLS, and whom we believe. A reload reads the files again."""

    certificate: Annotated[Path | None, file_path()] = None
    """PEM: our certificate, then those between it and its root. Shown to callers and to vendors."""
    private_key: Annotated[Path | None, file_path()] = None
    """PEM, not encrypted: the key of the certificate."""
    ca: Annotated[Path | None, file_path()] = None
    """PEM: the roots that peers' certificates must lead to. Default: those of the operating system."""
    verify_client: Annotated[VerifyClient, choice(VerifyClient)] = VerifyClient.NO
    """Whether who connects to us must show a certificate, may (then it must be good), or is not asked."""
    verify_server: Annotated[bool, switch()] = True
    """``no`` takes any certificate of a vendor; else it must be good and name the gateway's host name or address."""
    min_version: Annotated[TlsVersion, choice(TlsVersion)] = TlsVersion.TLS_1_2
    """The oldest version of TLS that is spoken."""

    @model_validator(mode="after")
    def _is_whole(self) -> "TlsKeys":
        if self.certificate is None and self.private_key is not None:
            raise KeyProblemError("certificate", "the certificate of the private key")
        if self.private_key is None and self.certificate is not None:
            raise KeyProblemError("private_key", "the key of the certificate")
        if self.ca is None and self.verify_client is not VerifyClient.NO:
            raise KeyProblemError("ca", "roots of the clients: the world's are no proof of a customer")
        return self


class DnsKeys(Keys):
    """Who is asked where the names of vendors lead (RFC 3263), and for how long the answers hold."""

    servers: Annotated[tuple[Annotated[NameServer, name_server()], ...], BeforeValidator(one_or_many)] = ()
    """Name servers, the first is asked first; port 53. Default: those of /etc/resolv.conf, read as it is then."""
    timeout: Annotated[int, milliseconds(100, 30_000)] = 2_000
    """Without an answer for so long, the next server is asked."""
    attempts: Annotated[int, whole(1, 5)] = 2
    """How often all of them are asked before a lookup has failed."""
    min_ttl: Annotated[int, whole(1, 3_600, "seconds")] = 5
    """No name is looked up more often, whatever its records say."""
    max_ttl: Annotated[int, whole(1, 604_800, "seconds")] = 3_600
    """Every name is looked up as often as that, whatever its records say."""
    stale: Annotated[int, whole(0, 604_800, "seconds")] = 86_400
    """For how long the last answer stands in while none can be had; after that the gateway is left out."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "DnsKeys":
        if self.max_ttl < self.min_ttl:
            raise KeyProblemError("max_ttl", "no less than min_ttl")
        return self


class DigestKeys(Keys):
    """How phones and trunks prove who they are (RFC 3261 section 22, RFC 7616, RFC 8760)."""

    algorithms: Annotated[tuple[Annotated[Algorithm, digest_algorithm()], ...], BeforeValidator(one_or_many)] = (
        Algorithm.MD5,
    )
    """What they are challenged with, in this order: ``MD5``, ``SHA-256`` or both. Old phones know MD5 only, and
    some of them choke on two challenges."""

    @model_validator(mode="after")
    def _each_once(self) -> "DigestKeys":
        if not self.algorithms or len(set(self.algorithms)) < len(self.algorithms):
            raise KeyProblemError("algorithms", "at least one algorithm, each once")
        return self


class RegistrarKeys(Keys):
    """For how long phones and gateways that register with us are believed to be where they said. Needs a restart."""

    default_expires: Annotated[int | None, whole(10, 604_800, "seconds")] = None
    """Granted to who does not say for how long. Default: an hour, as far as the bounds allow."""
    min_expires: Annotated[int, whole(10, 3_600, "seconds")] = 60
    """Whoever wants less gets 423 and may ask for this."""
    max_expires: Annotated[int, whole(60, 604_800, "seconds")] = 7_200
    """Granted to who wants more."""
    max_contacts: Annotated[int, whole(1, 100)] = 10
    """Places of one user; one more takes that of the one that would end first."""
    max_registrations: Annotated[int, whole(1, 10_000_000)] = 100_000
    """Places of all users; whoever would be beyond gets 503."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "RegistrarKeys":
        if self.max_expires < self.min_expires:
            raise KeyProblemError("max_expires", "no less than min_expires")
        if not self.min_expires <= self.granted_by_default <= self.max_expires:
            raise KeyProblemError("default_expires", "no less than min_expires and no more than max_expires")
        return self

    @property
    def granted_by_default(self) -> int:
        """The seconds of ``default_expires``, settled."""
        if self.default_expires is not None:
            return self.default_expires
        return max(self.min_expires, min(3_600, self.max_expires))


class NatKeys(Keys):
    """Endpoints behind NAT. How often they are kept alive, and with what, the parameters say."""

    keepalive_all: Annotated[bool, switch()] = True
    """``no`` keeps only those alive that are not where their Contact says, or whose Contact or Via is private."""


class SipKeys(Keys):
    """Where SIP is spoken, and how."""

    listen: Annotated[tuple[Annotated[Listener, listener()], ...], BeforeValidator(one_or_many)] = (
        Listener("udp", "127.0.0.1", 5060),
    )
    """Sockets that take calls, one or a list."""
    advertise: Annotated[Advertised | None, advertised(), BeforeValidator(one_for_all)] = None
    """Address put in Contact and Via, where it is not the one listened on: one for all sockets of its family, or
    ``{"udp:10.0.0.1:5060": 203.0.113.1}``, an address for each socket of ``listen`` that needs one. An address that is
    a socket's own in ``listen`` is not put into what other addresses than ``0.0.0.0`` and ``::`` send."""
    unknown_source: Annotated[UnknownSource, choice(UnknownSource)] = UnknownSource.DROP
    """What a request from an unknown address gets: silence, or 403. Dropped ones are counted and logged."""
    timers: TimerKeys = TimerKeys()
    limits: SipLimitKeys = SipLimitKeys()
    connections: ConnectionKeys = ConnectionKeys()
    shield: ShieldKeys = ShieldKeys()
    overload: OverloadKeys = OverloadKeys()
    tls: TlsKeys = TlsKeys()
    dns: DnsKeys = DnsKeys()
    registrar: RegistrarKeys = RegistrarKeys()
    nat: NatKeys = NatKeys()
    server: Annotated[str | None, line_of_text(1, 100)] = None
    """Text of Server and User-Agent; ``hidden`` sends neither. Default: vosd and its version."""
    realm: Annotated[str, line_of_text(1, 100)] = "vosd"
    """The realm that phones and trunks are challenged for. Hashes of passwords hold for one realm only."""
    digest: DigestKeys = DigestKeys()

    not_built: ClassVar[frozenset[str]] = frozenset({"qos", "outbound_proxy"})

    @model_validator(mode="after")
    def _sockets_differ(self) -> "SipKeys":
        if not self.listen or len(set(self.listen)) < len(self.listen):
            raise KeyProblemError("listen", "at least one socket, each once")
        streams = [(host, port) for transport, host, port in self.listen if transport != "udp"]
        if len(set(streams)) < len(streams):
            raise KeyProblemError("listen", "another port for TLS than for TCP")
        fault = advertise_fault(self.listen, self.advertise)
        if fault is not None:
            raise KeyProblemError("advertise", fault)
        if self.tls.certificate is None and any(transport == "tls" for transport, _, _ in self.listen):
            raise KeyProblemError("listen", "sip.tls with certificate and private_key, which tls: needs")
        return self


class DatabaseKeys(Keys):
    """Where CDRs, ledger and balances are kept."""

    url: Annotated[Secret, database_url()] = Secret("sqlite+aiosqlite:///var/vosd.db")
    """``sqlite+aiosqlite:///FILE`` or ``mysql+aiomysql://USER:PASSWORD@HOST:PORT/NAME``; best with ``${ENV}``."""

    not_built: ClassVar[frozenset[str]] = frozenset({"password_file", "pool_size", "retention"})


class LimitKeys(Keys):
    """Limits that hold for every call."""

    max_call_seconds: Annotated[int, whole(1, 604_800)] = 43_200
    """Longest call in seconds. Accounts and gateways may set less."""
    dead_call_billing: Annotated[DeadCallBilling, choice(DeadCallBilling)] = DeadCallBilling.DETECTION
    """Until when a call is billed whose peer vanished: until that was noticed, or until the latest proof of life."""

    not_built: ClassVar[frozenset[str]] = frozenset({"max_calls", "max_cps", "max_concurrent"})


class CdrKeys(Keys):
    """How booked calls are gathered into transactions."""

    batch_rows: Annotated[int, whole(1, 10_000)] = 500
    """A batch is committed when it holds this many calls."""
    batch_ms: Annotated[int, whole(1, 10_000)] = 200
    """A batch is committed at the latest this many milliseconds after its first call."""


class JournalKeys(Keys):
    """For how long journal files are kept whose calls are all booked, against a database that loses commits.

    Files of 64 MiB; those that hold anything unbooked are never removed and do not count. Needs a restart.
    """

    keep_minutes: Annotated[int, whole(0, 10_080)] = 60
    """Minutes since the last call of a file was booked; 0 keeps none."""
    keep_files: Annotated[int, whole(0, 10_000)] = 64
    """At most so many files, the oldest go first. An hour at 100 answered calls a second is some 25 files."""


class TraceKeys(Keys):
    """How much memory the messages of past calls may take; what they are kept for is ``cdr show --ladder``."""

    recent_mb: Annotated[int, whole(0, 65_536)] = 64
    """MiB for the messages of recent calls, the oldest of which make room; 0 keeps none."""
    failed_mb: Annotated[int, whole(0, 65_536)] = 64
    """MiB beside that for calls that failed and are no longer recent."""


class LogKeys(Keys):
    """What is written to the log."""

    level: Annotated[LogLevel, choice(LogLevel)] = LogLevel.INFO
    """The least urgent lines that are written. A reload changes it."""


class InstallationKeys(Keys):
    """The top level of the file, without the lists of objects."""

    node: Annotated[str, object_name()] = "vosd"
    """Name of this switch in CDRs."""
    sip: SipKeys = SipKeys()
    database: DatabaseKeys = DatabaseKeys()
    state_dir: Annotated[Path, file_path()] = Path("var")
    """Directory of the journal and other state, made when missing; relative to the working directory."""
    control_socket: Annotated[Path, socket_path()] = Path("var/vosd.sock")
    """Unix socket through which the commands reach the daemon; relative to the working directory."""
    shutdown_grace: Annotated[int, whole(0, 86_400)] = 10
    """Seconds for which established calls may go on after a stop was asked for. A reload changes it."""
    on_sigterm: Annotated[OnSigterm, choice(OnSigterm, later=frozenset({"keep"}))] = OnSigterm.END
    """What becomes of established calls on SIGTERM: ``end`` ends them as SIGINT does."""
    limits: LimitKeys = LimitKeys()
    phone_service: PhoneServiceKeys = PhoneServiceKeys()
    offline_gateway: Annotated[str | None, object_name()] = None
    """The routing gateway that takes the calls of phones that are not registered and name none themselves."""
    cdr: CdrKeys = CdrKeys()
    journal: JournalKeys = JournalKeys()
    trace: TraceKeys = TraceKeys()
    log: LogKeys = LogKeys()
    preset: Annotated[Preset | None, choice(Preset)] = None
    """``vos3000``: every default as VOS3000's. What the file sets itself still wins."""

    not_built: ClassVar[frozenset[str]] = later.INSTALLATION
    apart: ClassVar[Mapping[str, str]] = {
        "include": "Files, or patterns such as ``partners/*.yaml``, relative to the file that names them.",
        "templates": "Keys by name, for accounts and gateways that say ``template: NAME``.",
        "parameters": "VOS3000's parameters by their own names.",
        "rate_groups": "List of rate groups.",
        "accounts": "List of accounts.",
        "mapping_gateways": "List of customers' trunks.",
        "phones": "List of telephones.",
        "routing_gateways": "List of vendors' trunks.",
    }

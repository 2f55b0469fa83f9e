"""What the daemon needs to know before it takes its first call: sockets, files, batches, the end of its life.

Owns the installation's settings as plain values; what a call is decided by (gateways, rates, accounts) is the
catalogue's. How they are written in YAML is configuration's business.
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from vosd.base.secret import Secret
from vosd.engine.journal.files import KeepSettings
from vosd.engine.overload.load import OverloadSettings
from vosd.sip.registration.keepalive import KeepAlive
from vosd.sip.settings import SipSettings


class Listener(NamedTuple):
    """One socket that takes SIP: transport in lower case, IP address without brackets, port."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


class NameServer(NamedTuple):
    """Where a name server is asked: IP address without brackets, port."""

    host: str
    port: int


class OnSigterm(Enum):
    """What becomes of established calls on SIGTERM (INTERFACES section 2)."""

    END = "end"


class LogLevel(Enum):
    """The least urgent lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CdrSettings:
    """How many booked calls share a transaction (DESIGN section 7)."""

    batch_rows: int = 500
    """A batch is committed when it holds this many calls."""
    batch_ms: int = 200
    """A batch is committed at the latest this long after its first call."""


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """How much memory the messages of past calls may take."""

    recent_bytes: int = 64 * 1024 * 1024
    """Of recent calls, whatever became of them."""
    failed_bytes: int = 64 * 1024 * 1024
    """Of failed calls that are no longer recent."""


@dataclass(frozen=True, slots=True)
class PhoneServiceSettings:
    """Which program is told when phones come and go."""

    host: str
    """IP address without brackets."""
    port: int
    path: str = "/"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Who is asked where names lead, and for how long the answers hold."""

    servers: tuple[NameServer, ...] = ()
    """None = those of the operating system."""
    timeout_ms: int = 2_000
    """Without an answer for so long, the next server is asked."""
    attempts: int = 2
    """How often all of them are asked before a lookup has failed."""
    min_ttl_s: int = 5
    max_ttl_s: int = 3_600
    """An answer holds for as long as it says, within these bounds."""
    stale_s: int = 86_400
    """For how long the last answer stands in while none can be had."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One node's settings, validated."""

    node: str
    """Name of this switch in CDRs."""
    listen: tuple[Listener, ...]
    """Sockets to open; at least one."""
    advertise: tuple[str | None, ...]
    """Address for Contact and Via of each of ``listen``; None = the address of the listening socket."""
    sip: SipSettings
    database_url: Secret
    state_dir: Path
    """Journal and compiled state; relative to the working directory."""
    control_socket: Path
    shutdown_grace_s: int = 10
    """How long established calls may go on after a stop was asked for."""
    on_sigterm: OnSigterm = OnSigterm.END
    cdr: CdrSettings = field(default_factory=CdrSettings)
    journal: KeepSettings = field(default_factory=KeepSettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    keep_alive: KeepAlive = field(default_factory=KeepAlive)
    """What keeps registered endpoints behind NAT reachable."""
    phone_service: PhoneServiceSettings | None = None
    log_level: LogLevel = LogLevel.INFO
    overload: OverloadSettings = field(default_factory=OverloadSettings)

"""The keys of the installation's own sections, and the base that every section's model shares.

Each field's docstring is its manual: ``docs/configuration.md`` is made of them. The objects that a call is
decided by are in ``objects.py``, VOS3000's parameters in ``parameters.py``.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.fields import FieldInfo

from vosd.base.secret import Secret
from vosd.config.addresses import ip, listener
from vosd.config.fields import (
    KeyProblemError,
    choice,
    line_of_text,
    milliseconds,
    object_name,
    one_or_many,
    whole,
)
from vosd.config.files import database_url, file_path, socket_path
from vosd.engine.settings import Listener, LogLevel, OnSigterm

HIDDEN: Final = "hidden"
"""``sip.server`` of a switch that does not say what it is."""


class UnknownSource(Enum):
    """What a request from an address that no gateway has gets."""

    DROP = "drop"
    REJECT = "reject"


class Preset(Enum):
    """A set of defaults."""

    VOS3000 = "vos3000"


class Keys(BaseModel):
    """The keys of one mapping: unknown ones are errors, values are converted from text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    not_built: ClassVar[frozenset[str]] = frozenset()
    """Keys of capabilities that come later: an error that says so."""
    aliases: ClassVar[Mapping[str, str]] = {}
    """Other spellings, and the key that each stands for."""
    apart: ClassVar[Mapping[str, str]] = {}
    """Keys that are read before the model sees the mapping, with their manual."""

    @classmethod
    def by_key(cls) -> dict[str, FieldInfo]:
        """Return the fields by the key that the file has for each."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


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


class SipKeys(Keys):
    """Where SIP is spoken, and how."""

    listen: Annotated[tuple[Annotated[Listener, listener()], ...], BeforeValidator(one_or_many)] = (
        Listener("udp", "127.0.0.1", 5060),
    )
    """Sockets that take calls, one or a list."""
    advertise: Annotated[str | None, ip()] = None
    """Address put in Contact and Via, where it is not the one listened on."""
    unknown_source: Annotated[UnknownSource, choice(UnknownSource)] = UnknownSource.DROP
    """What a request from an unknown address gets: silence, or 403. Dropped ones are counted and logged."""
    timers: TimerKeys = TimerKeys()
    limits: SipLimitKeys = SipLimitKeys()
    server: Annotated[str | None, line_of_text(1, 100)] = None
    """Text of Server and User-Agent; ``hidden`` sends neither. Default: vosd and its version."""

    not_built: ClassVar[frozenset[str]] = frozenset(
        {"dns", "tls", "nat", "realm", "registrar", "session_timer", "qos", "outbound_proxy", "digest"}
    )

    @model_validator(mode="after")
    def _sockets_differ(self) -> "SipKeys":
        if not self.listen or len(set(self.listen)) < len(self.listen):
            raise KeyProblemError("listen", "at least one socket, each once")
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

    not_built: ClassVar[frozenset[str]] = frozenset({"max_calls", "max_cps", "max_concurrent"})


class CdrKeys(Keys):
    """How booked calls are gathered into transactions."""

    batch_rows: Annotated[int, whole(1, 10_000)] = 500
    """A batch is committed when it holds this many calls."""
    batch_ms: Annotated[int, whole(1, 10_000)] = 200
    """A batch is committed at the latest this many milliseconds after its first call."""


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
    cdr: CdrKeys = CdrKeys()
    log: LogKeys = LogKeys()
    preset: Annotated[Preset | None, choice(Preset)] = None
    """``vos3000``: every default as VOS3000's. What the file sets itself still wins."""

    not_built: ClassVar[frozenset[str]] = frozenset(
        {
            "alarms", "api", "calendars", "live_state", "media", "metrics", "packages", "phones",
            "registrations", "resume_within", "routing_plans", "security", "web", "workers",
        }
    )  # fmt: skip
    apart: ClassVar[Mapping[str, str]] = {
        "include": "Files, or patterns such as ``partners/*.yaml``, relative to the file that names them.",
        "templates": "Keys by name, for accounts and gateways that say ``template: NAME``.",
        "parameters": "VOS3000's parameters by their own names.",
        "rate_groups": "List of rate groups.",
        "accounts": "List of accounts.",
        "mapping_gateways": "List of customers' trunks.",
        "routing_gateways": "List of vendors' trunks.",
    }

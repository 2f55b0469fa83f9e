"""Settings of sockets: connection limits, packet marking, TLS."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from vosd.net.marking import SIGNALLING, TrafficClass
from vosd.net.shield import ShieldSettings

ANY_ORIGIN: Final = "*"
"""In place of origins: scripts of every page may connect by WebSocket."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits for connections of peers, over all TCP and TLS listeners together."""

    most: int = 10_000
    """Open at the same time, including ours to vendors, which a tenth is left to."""
    most_per_source: int = 1_000
    """Accepted from one address (IPv6: /64) of a gateway, or from a source that has authenticated."""
    most_unknown: int = 200
    idle_ms: int = 3_600_000
    """Idle time after which a connection is closed; from an unknown address only messages count as activity."""
    unknown_rate: int = 50
    unknown_rate_per_source: int = 10
    tls_rate: int = 200
    """TLS handshakes of registered users that begin in a second, all together; 0 = no limit."""
    tls_rate_per_source: int = 100
    """Such of one address (IPv6: /64), that of a gateway, too."""
    most_unknown_per_source: int = 20
    """Part of ``most_unknown`` that one address (IPv6: /64) may use."""
    most_own_per_source: int = 16
    """Opened by us to one address (IPv6: /64), except to places of routing gateways."""
    ping_ms: int = 120_000
    """Longest interval between keep-alives of ours to gateways and registered users; 0 = none."""
    pong_ms: int = 10_000
    """Time for the answer to one."""
    alias: bool = False
    """Whether a connection of a gateway is used for requests to it, if it asks for that (RFC 5923)."""


class VerifyClient(Enum):
    """Whether clients must show a certificate."""

    NO = "no"
    OPTIONAL = "optional"
    REQUIRED = "required"


class TlsVersion(Enum):
    """Oldest TLS version accepted."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Another certificate of ours, and the authority and name that a vendor must have."""

    name: str
    certificate: Path | None = None
    """None = that of ``TlsSettings``."""
    private_key: Path | None = None
    ca: Path | None = None
    """None = that of ``TlsSettings``."""
    server_name: str = ""
    """Name that a vendor's certificate must bear; empty = that which led to its address."""
    verify_server: bool = True
    host_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Our certificate, and the authorities whose certificates we accept."""

    certificate: Path
    """Our certificate with its chain, PEM; used as server and as client."""
    private_key: Path
    """Private key of the certificate, PEM, not encrypted."""
    ca: Path | None = None
    """Trusted root certificates, PEM; None = those of the operating system."""
    verify_client: VerifyClient = VerifyClient.NO
    verify_server: bool = True
    min_version: TlsVersion = TlsVersion.TLS_1_2
    forward_secrecy: bool = False
    """Whether only suites are agreed on whose keys are lost with the connection."""
    identities: tuple[TlsIdentity, ...] = ()


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """All settings of sockets that a reload may change."""

    marking: TrafficClass = SIGNALLING
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    tls: TlsSettings | None = None
    """None: TLS is not used."""
    shield: ShieldSettings = field(default_factory=ShieldSettings)
    websocket_origins: tuple[str, ...] = ()
    """Origins of the pages whose scripts may connect by WebSocket; ``ANY_ORIGIN`` = all."""

"""What an operator may set of sockets: how many connections, how their packets are marked, how TLS is spoken."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from vosd.net.marking import SIGNALLING, TrafficClass
from vosd.net.shield import ShieldSettings


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How much of the switch its peers' connections may take, over all TCP and TLS listeners."""

    most: int = 10_000
    """Open at the same time, ours to vendors among them."""
    most_per_source: int = 1_000
    """Accepted from one address of a gateway, or from a source that has authenticated."""
    most_unknown: int = 200
    """Accepted from all unknown addresses together."""
    idle_ms: int = 3_600_000
    """Closed after so long without a byte in either direction; from an unknown address only messages count."""
    unknown_rate: int = 50
    """Accepted a second from all the addresses together that no gateway has, 0 = no limit."""
    unknown_rate_per_source: int = 10
    """Accepted a second from one of them, of IPv6 from its /64."""
    most_unknown_per_source: int = 20
    """Of ``most_unknown``, those of one address, of IPv6 those of its /64."""


class VerifyClient(Enum):
    """Whether who connects to us shows a certificate."""

    NO = "no"
    OPTIONAL = "optional"
    REQUIRED = "required"


class TlsVersion(Enum):
    """The oldest version of TLS that is spoken."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Who we are to peers over TLS, and whom we believe."""

    certificate: Path
    """Our certificate and what leads to its root, PEM; shown to those who connect and to those we connect to."""
    private_key: Path
    """Key of the certificate, PEM, not encrypted."""
    ca: Path | None = None
    """Roots that peers' certificates must lead to, PEM; None = those of the operating system."""
    verify_client: VerifyClient = VerifyClient.NO
    verify_server: bool = True
    """Whether a vendor's certificate must be valid and name the vendor's host."""
    min_version: TlsVersion = TlsVersion.TLS_1_2


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Everything that a reload may change of sockets."""

    marking: TrafficClass = SIGNALLING
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    tls: TlsSettings | None = None
    """None: TLS is not spoken."""
    shield: ShieldSettings = field(default_factory=ShieldSettings)

"""Settings of RADIUS: the servers, and how they are asked."""

from dataclasses import dataclass, field
from enum import Enum

from vosd.base.secret import Secret
from vosd.radius.servers import DeathRules


class RadiusPurpose(Enum):
    """Services of a server, each at a port of its own."""

    AUTHENTICATION = "authentication"
    ACCOUNTING = "accounting"


class RadiusUsers(Enum):
    """Users whose passwords the servers judge."""

    OFF = "off"
    PHONES = "phones"
    GATEWAYS = "gateways"
    ALL = "all"


class DigestForm(Enum):
    """Attributes that contain a digest."""

    BOTH = "both"
    RFC_5090 = "rfc5090"
    STERMAN = "sterman"
    """The attributes of draft-sterman-aaa-sip-00, which FreeRADIUS reads."""


class Unreachable(Enum):
    """Treatment of a request while no server answers."""

    REFUSE = "refuse"
    LOCAL = "local"
    """The password of the configuration decides; a user without one is refused."""


@dataclass(frozen=True, slots=True)
class RadiusServer:
    """One server."""

    address: str
    secret: Secret
    auth_port: int = 1812
    accounting_port: int = 1813

    def port(self, purpose: RadiusPurpose) -> int:
        """Return the port of a service."""
        return self.auth_port if purpose is RadiusPurpose.AUTHENTICATION else self.accounting_port


@dataclass(frozen=True, slots=True)
class RadiusSettings:
    """The servers, in the order in which they are asked, and how."""

    servers: tuple[RadiusServer, ...]
    nas_identifier: str
    nas_address: str = ""
    """NAS-IP-Address, or NAS-IPv6-Address (RFC 3162), of our requests; empty = they have none."""
    timeout_ms: int = 1_000
    tries: int = 2
    wants_proof: bool = True
    rules: DeathRules = field(default_factory=DeathRules)
    digest: DigestForm = DigestForm.BOTH
    on_failure: Unreachable = Unreachable.REFUSE
    deadline_ms: int = 5_000

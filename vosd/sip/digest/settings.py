"""What peers are challenged with, and when a source has guessed often enough (REQ_SIP_ROUTING_OPS section 4)."""

from dataclasses import dataclass

from vosd.sip.digest.hashing import Algorithm


@dataclass(frozen=True, slots=True)
class DigestSettings:
    """How who comes to us proves who it is."""

    realm: str = "vosd"
    algorithms: tuple[Algorithm, ...] = (Algorithm.MD5,)
    """Challenged in this order, the preferred one first (RFC 7616 section 3.7)."""
    status: int = 401
    """SS_SIP_AUTHENTICATION_CODE: 401 with WWW-Authenticate, or 407 with Proxy-Authenticate."""
    nonce_life_ms: int = 10_000
    """SS_SIP_AUTHENTICATION_TIMEOUT: how long after a challenge it may be answered."""


@dataclass(frozen=True, slots=True)
class LockOutSettings:
    """When a source address is not heard any more (REG-07)."""

    max_retry: int = 6
    """SS_AUTHENTICATION_MAX_RETRY: the failure that begins the lock-out; 0 = there is none."""
    suspend_ms: int = 180_000
    """SS_AUTHENTICATION_FAILED_SUSPEND: how long it lasts."""

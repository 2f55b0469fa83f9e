"""Settings of digest authentication and of the lock-out."""

from dataclasses import dataclass

from vosd.sip.digest.hashing import Algorithm


@dataclass(frozen=True, slots=True)
class DigestSettings:
    """Settings of authentication by peers."""

    realm: str = "vosd"
    algorithms: tuple[Algorithm, ...] = (Algorithm.MD5,)
    """Offered in this order, the preferred one first (RFC 7616 section 3.7)."""
    status: int = 401
    """SS_SIP_AUTHENTICATION_CODE: 401 with WWW-Authenticate, or 407 with Proxy-Authenticate."""
    nonce_life_ms: int = 10_000
    """SS_SIP_AUTHENTICATION_TIMEOUT: life of a nonce."""
    phones_are_remote: bool = False
    """Whether servers of RADIUS judge the passwords of phones ..."""
    gateways_are_remote: bool = False
    """... and of mapping gateways."""


@dataclass(frozen=True, slots=True)
class LockOutSettings:
    """When a source address is locked out."""

    max_retry: int = 6
    """SS_AUTHENTICATION_MAX_RETRY: number of failures that lock a source out; 0 = never."""
    suspend_ms: int = 180_000
    """SS_AUTHENTICATION_FAILED_SUSPEND: duration of a lock-out."""

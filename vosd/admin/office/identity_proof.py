"""Proof that an OpenID Connect provider gives about a person: its ID token, and its UserInfo.

``joserfc`` verifies signatures; claims are judged here, at a given moment.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from vosd.admin.office.people import digest_of
from vosd.admin.office.sessions import LogInRefusedError
from vosd.base.errors import VosError
from vosd.engine.settings import IdentityProviderSettings

DRIFT_S: Final = 60
"""Seconds by which the clock of the provider may be off."""
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA",
)  # fmt: skip
"""Signatures by a key that only the provider has: none of a shared secret, and not ``none``."""
SECOND_FACTOR: Final = "mfa"
"""Method of authentication by more than one factor (RFC 8176)."""
_TOKEN_MAX: Final = 16_384
_SUBJECT_MAX: Final = 255


class Proof(NamedTuple):
    """Statement of the provider about a person."""

    digest: str
    """Digest of issuer and subject."""
    name: str
    words: frozenset[str]
    """Values of the claim that says the role."""
    has_second_factor: bool


class UnknownKeyError(VosError):
    """The keys of the provider that are known have not signed the token: it may have new ones."""


def claims_of(
    provider: IdentityProviderSettings, keys: Sequence[Mapping[str, Any]], token: str, nonce: str, now_ms: int
) -> Mapping[str, Any]:
    """Verify an ID token (OpenID Connect Core section 3.1.3.7), and return its claims.

    Raises:
        UnknownKeyError: no key of ``keys`` has signed it.
        LogInRefusedError: it proves nothing.
    """
    claims = _signed(keys, token)
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    begins, ends = claims.get("iat"), claims.get("exp")
    now_s = now_ms // 1_000
    faults = {
        "issuer": claims.get("iss") != provider.issuer,
        "audience": provider.client_id not in audiences,
        "authorized party": claims.get("azp", provider.client_id) != provider.client_id
        or (len(audiences) > 1 and "azp" not in claims),
        "end": not isinstance(ends, int | float) or ends + DRIFT_S <= now_s,
        "time": not isinstance(begins, int | float) or begins - DRIFT_S > now_s,
        "nonce": not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()),
    }
    subject = claims.get("sub")
    faults["subject"] = not isinstance(subject, str) or not 1 <= len(subject) <= _SUBJECT_MAX
    _refuse(faults)
    return claims


def lacks_claims(provider: IdentityProviderSettings, claims: Mapping[str, Any]) -> bool:
    """Return whether an ID token leaves out the name or the groups of the person: some providers keep them apart."""
    wanted = (provider.name_claim, provider.role_claim) if provider.roles else (provider.name_claim,)
    return any(_claim(claims, each) is None for each in wanted)


def proof_of(
    provider: IdentityProviderSettings, claims: Mapping[str, Any], user_info: Mapping[str, Any] | None = None
) -> Proof:
    """Return what verified claims say about the person; ``user_info`` has those that the ID token lacks.

    Raises:
        LogInRefusedError: they name no person, or ``user_info`` is about another one.
    """
    subject = claims["sub"]
    if user_info is None:
        user_info = {}
    elif user_info.get("sub") != subject:  # OpenID Connect Core section 5.3.2
        raise LogInRefusedError("the identity provider gives the claims of another person than its token: begin again")
    naming = claims if _claim(claims, provider.name_claim) is not None else user_info
    name = _claim(naming, provider.name_claim)
    faults = {provider.name_claim: not isinstance(name, str) or not name.isprintable()}
    if provider.name_claim == "email":
        faults["email_verified"] = naming.get("email_verified") is not True
    _refuse(faults)
    words = _claim(claims, provider.role_claim)
    if words is None:
        words = _claim(user_info, provider.role_claim)
    words = words if isinstance(words, list) else [words]
    methods = claims.get("amr")
    return Proof(
        digest=digest_of(f"{provider.issuer}\0{subject}"),
        name=str(name),
        words=frozenset(each for each in words if isinstance(each, str)),
        has_second_factor=isinstance(methods, list) and SECOND_FACTOR in methods,
    )


def _refuse(faults: Mapping[str, bool]) -> None:
    """Raise LogInRefusedError for the first fault that was found."""
    wrong = [each for each, is_wrong in faults.items() if is_wrong]
    if wrong:
        raise LogInRefusedError(f"the token of the identity provider has a wrong {wrong[0]}")


def _signed(keys: Sequence[Mapping[str, Any]], token: str) -> dict[str, Any]:
    """Return the claims of a token that one of the keys has signed."""
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    usable = [each for each in keys if each.get("kty") in ("RSA", "EC", "OKP") and each.get("use", "sig") == "sig"]

    def key_of(found: Any) -> Any:
        identifier = found.headers().get("kid")
        fitting = [each for each in usable if identifier is None or each.get("kid") == identifier]
        if len(fitting) != 1:
            raise UnknownKeyError("the token of the identity provider was signed by a key that it does not publish")
        return jwk.import_key(fitting[0])

    not_signed = "the token of the identity provider is not signed by it"
    refused = LogInRefusedError(not_signed)
    if len(token) > _TOKEN_MAX:
        raise refused
    try:
        claims = jwt.decode(token, key_of, algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, KeyError) as error:
        # where keys have no names, the key may be new: the one before signed otherwise, or was of another kind
        raise UnknownKeyError(not_signed) from error
    if not isinstance(claims, dict):
        raise refused
    return claims


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found

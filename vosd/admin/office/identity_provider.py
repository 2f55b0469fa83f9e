"""Log-in of people by an OpenID Connect provider: the request to it, the proof that it gives, and the person of that.

Authorization code with PKCE. What the answer is compared with is in a cookie that only this installation reads, so that
no log-in that has begun takes memory. ``joserfc`` verifies signatures; claims are judged here, at a given moment.
"""

import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from vosd.admin.office.office import Office
from vosd.admin.office.people import AddPerson, GiveRole, digest_of
from vosd.admin.office.principal import ActsFor, Means, OrderError, Principal, Role, RoleSheet
from vosd.admin.office.roles import administering, role_named
from vosd.admin.office.second_factor import SealedElsewhereError, opened, sealed
from vosd.admin.office.sessions import LogIn, LogInRefusedError, LogIns, OpenedSession, open_session
from vosd.base import base64url
from vosd.base.errors import VosError
from vosd.engine.settings import IdentityProviderSettings
from vosd.storage.access import NoSuchRoleError
from vosd.storage.people import PersonExistsError, StoredPerson

BEGUN_MS: Final = 600_000
"""Time for a person to log in at the provider."""
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
_MADE_BY: Final = "identity provider"


class NoProviderError(VosError):
    """The installation has no identity provider."""


class Metadata(msgspec.Struct, frozen=True):
    """Metadata of a provider (OpenID Connect Discovery section 3), as far as they are used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Begun(NamedTuple):
    """A log-in that has begun."""

    url: str
    """Page of the provider, for the browser."""
    sealed: str
    """Text for the cookie, encrypted."""


class _Kept(msgspec.Struct, frozen=True):
    state: str
    nonce: str
    verifier: str
    until: int
    what: str


class Proof(NamedTuple):
    """Statement of the provider about a person."""

    digest: str
    """Digest of issuer and subject."""
    name: str
    words: frozenset[str]
    """Values of the claim that says the role."""
    has_second_factor: bool


def provider_of(office: Office) -> IdentityProviderSettings:
    """Return the provider of the installation; raises NoProviderError."""
    found = office.definitions.settings.identity_provider
    if found is None:
        raise NoProviderError("there is no identity provider: log in by POST /api/v1/session")
    return found


def begin(office: Office, provider: IdentityProviderSettings, metadata: Metadata) -> Begun:
    """Begin a log-in."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    kept = _Kept(state, nonce, verifier, office.now() + BEGUN_MS, _MADE_BY)
    challenge = base64url.encoded(sha256(verifier.encode()).digest())
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": provider.redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    text = sealed(msgspec.json.encode(kept), office.definitions.settings.state_dir)
    return Begun(f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}", text)


class Continued(NamedTuple):
    """A log-in whose browser has come back."""

    nonce: str
    verifier: str


def resume(office: Office, cookie: str | None, state: str) -> Continued:
    """Return what a log-in has begun with; raises LogInRefusedError where this browser has not begun it."""
    refused = LogInRefusedError("this browser has begun no log-in, or more than 10 minutes ago: begin again")
    if not cookie:
        raise refused
    try:
        kept = msgspec.json.decode(opened(cookie, office.definitions.settings.state_dir), type=_Kept)
    except (SealedElsewhereError, msgspec.MsgspecError) as error:
        raise refused from error
    is_same = hmac.compare_digest(kept.state.encode(), state.encode("utf-8", "surrogatepass"))
    if not is_same or kept.until <= office.now() or kept.what != _MADE_BY:
        raise refused
    return Continued(kept.nonce, kept.verifier)


class UnknownKeyError(VosError):
    """The keys of the provider that are known have not signed the token: it may have new ones."""


def proof_of(provider: IdentityProviderSettings, keys: Mapping[str, Any], token: str, nonce: str, now_ms: int) -> Proof:
    """Verify an ID token (OpenID Connect Core section 3.1.3.7), and return what it says.

    Raises:
        UnknownKeyError: its key is not among ``keys``.
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
    name = _claim(claims, provider.name_claim)
    faults[provider.name_claim] = not isinstance(name, str) or not name.isprintable()
    if provider.name_claim == "email":
        faults["email_verified"] = claims.get("email_verified") is not True
    wrong = [each for each, is_wrong in faults.items() if is_wrong]
    if wrong:
        raise LogInRefusedError(f"the token of the identity provider has a wrong {wrong[0]}")
    words = _claim(claims, provider.role_claim)
    words = words if isinstance(words, list) else [words]
    methods = claims.get("amr")
    return Proof(
        digest=digest_of(f"{provider.issuer}\0{subject}"),
        name=str(name),
        words=frozenset(each for each in words if isinstance(each, str)),
        has_second_factor=isinstance(methods, list) and SECOND_FACTOR in methods,
    )


def _signed(keys: Mapping[str, Any], token: str) -> dict[str, Any]:
    """Return the claims of a token that one of the keys has signed."""
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    usable = [
        each
        for each in keys.get("keys", ())
        if isinstance(each, dict) and each.get("kty") in {"RSA", "EC", "OKP"} and each.get("use", "sig") == "sig"
    ]

    def key_of(found: Any) -> Any:
        identifier = found.headers().get("kid")
        fitting = [each for each in usable if identifier is None or each.get("kid") == identifier]
        if len(fitting) != 1:
            raise UnknownKeyError("the token of the identity provider was signed by a key that it does not publish")
        return jwk.import_key(fitting[0])

    refused = LogInRefusedError("the token of the identity provider is not signed by it")
    if len(token) > _TOKEN_MAX:
        raise refused
    try:
        claims = jwt.decode(token, key_of, algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise refused from error
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


async def log_in_by_provider(
    office: Office, log_ins: LogIns, source: str, provider: IdentityProviderSettings, proof: Proof
) -> OpenedSession:
    """Open a session of the person of a proof, who is made where the installation says so.

    Raises:
        LogInRefusedError: the person is unknown or disabled, or the provider gives it no role.
        LastAdministratorError: its role would be another one, and it is the last administrator.
        ChangedMeanwhileError, StoreUnavailable: try again.
    """
    person, why = await _person(office, provider, proof, source)
    if person is None or person.disabled_at is not None:
        name = None if person is None else person.name
        await log_ins.refused.note(office, source, name, why or "disabled person")
        raise LogInRefusedError(f"the identity provider knows {proof.name}, but {why or 'the person is disabled here'}")
    role = await role_named(office, person.role)
    if (role.wants_totp or person.totp is not None) and not proof.has_second_factor:
        await log_ins.refused.note(office, source, person.name, "no second factor at the provider")
        said = f"{person.name} needs a second factor, and the identity provider has not asked for one (amr: mfa)"
        raise LogInRefusedError(said)
    line = office.audit_line(_by(person.name, source), LogIn(name=person.name, password=_MADE_BY), person.name)
    return await open_session(office, person, role, source, line, by_provider=True)


async def _person(
    office: Office, provider: IdentityProviderSettings, proof: Proof, source: str
) -> tuple[StoredPerson | None, str]:
    """Return the person of a proof with its role of today, or why there is none."""
    people, wanted = office.stores.people, _role_name(provider, proof)
    known = await people.of_identity(proof.digest)
    found = known or await people.find(proof.name)
    if found is None and not provider.makes_people:
        return None, "there is no such person here"
    if known is None and found is not None and (not provider.links_people or found.identity is not None):
        return None, "another person has this name here"
    if wanted is None and (found is None or provider.roles):
        return None, "it has no group that gives a role here"
    role = None if wanted is None else await _role(office, wanted)
    if found is None:
        assert role is not None
        return await _made(office, role, proof, source), ""
    try:
        keeps_account = (await role_named(office, found.role)).acts_for is not ActsFor.INSTALLATION
    except NoSuchRoleError:
        keeps_account = False
    named = found.role if role is None or keeps_account else role.name
    if found.disabled_at is None and (found.identity, found.role) != (proof.digest, named):
        after = msgspec.structs.replace(found, identity=proof.digest, role=named)
        line = office.audit_line(_by(found.name, source), GiveRole(name=found.name, role=named), found.name)
        own_role = None if role is None or named != role.name else role.own_name
        try:
            is_same = await people.change(
                found, after, line, ends_sessions=True, administering=administering, own_role=own_role
            )
        except NoSuchRoleError as error:
            raise _role_missing(named) from error
        if not is_same:
            return None, "it was changed at the same time: log in again"
        return after, ""
    return found, ""


async def _made(office: Office, role: RoleSheet, proof: Proof, source: str) -> StoredPerson:
    try:
        order = AddPerson(name=proof.name, role=role.name)
    except OrderError as error:
        raise LogInRefusedError(f"the name at the identity provider cannot be used here: {error}") from error
    now = office.now()
    person = StoredPerson(name=order.name, role=role.name, identity=proof.digest, created_at=now, created_by=_MADE_BY)
    try:
        line = office.audit_line(_by(person.name, source), order, person.name)
        await office.stores.people.add(person, line, own_role=role.own_name)
    except PersonExistsError as error:
        raise LogInRefusedError("the person was made at the same time: log in again") from error
    except NoSuchRoleError as error:
        raise _role_missing(role.name) from error
    return person


async def _role(office: Office, name: str) -> RoleSheet:
    try:
        role = await role_named(office, name)
    except NoSuchRoleError as error:
        raise _role_missing(name) from error
    if role.acts_for is not ActsFor.INSTALLATION:
        raise LogInRefusedError(f"the role {name} of api.oidc acts for an account: ask an administrator")
    return role


def _role_missing(name: str) -> LogInRefusedError:
    return LogInRefusedError(f"the role {name} of api.oidc does not exist: ask an administrator")


def _role_name(provider: IdentityProviderSettings, proof: Proof) -> str | None:
    return next((role for value, role in provider.roles if value in proof.words), provider.role)


def _by(name: str, source: str) -> Principal:
    """Return the principal of what the log-in of a person changes."""
    return Principal(
        role=Role.OPERATOR, name=name, login=_MADE_BY, means=Means.PAGE, permissions=frozenset(), source=source
    )

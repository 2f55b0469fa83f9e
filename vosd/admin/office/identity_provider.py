"""Log-in of people by an OpenID Connect provider: the request to it, the proof that it gives, and the person of that.

Authorization code with PKCE. What the answer is compared with is in a cookie that only this installation reads, so that
no log-in that has begun takes memory. ``identity_proof`` judges the token.
"""

import hmac
import secrets
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from vosd.admin.office.identity_proof import Proof
from vosd.admin.office.office import Office
from vosd.admin.office.people import AddPerson, GiveRole
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
_MADE_BY: Final = "identity provider"


class NoProviderError(VosError):
    """The installation has no identity provider."""


class Metadata(msgspec.Struct, frozen=True):
    """Metadata of a provider (OpenID Connect Discovery section 3), as far as they are used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    """None or empty = the provider says nothing beside its tokens."""
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
    log_ins.proved_at_provider(person.name, source)
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

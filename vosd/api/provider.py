"""The identity provider over HTTP: its metadata, its keys, the token for a code; bounded in time, size and number."""

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from vosd.admin.office.identity_proof import Proof, UnknownKeyError, claims_of, lacks_claims, proof_of
from vosd.admin.office.identity_provider import Continued, Metadata
from vosd.admin.office.sessions import LogInRefusedError
from vosd.base.errors import VosError
from vosd.base.undecodable import UNDECODABLE
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import NO_ANSWER, HttpServer
from vosd.engine.settings import IdentityProviderSettings

TIMEOUT_S: Final = 5.0
"""Time of one request to the provider."""
WORDS_MAX: Final = 300
"""Most characters of an error of the provider that are said again."""
AT_ONCE: Final = 16
"""Requests to the provider that may be open: four sources may have all of theirs."""
KEPT_S: Final = 3_600.0
"""Time after which metadata and keys are read again."""
RENEWED_S: Final = 60.0
"""Least time between two readings of the keys for a token whose key is not known."""
_NAMES: Final = HostNames(16, "names of the identity provider")
"""Keys and tokens may be at other hosts than the metadata."""


class ProviderUnavailableError(VosError):
    """The identity provider does not answer, or not as it should."""


class _Fault(msgspec.Struct, frozen=True):
    """Refusal of a token (RFC 6749 section 5.2)."""

    error: str
    error_description: str = ""


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""
    """Token for the UserInfo of the provider; it is asked for nothing else."""


class _Keys(msgspec.Struct, frozen=True):
    """Keys of the provider (RFC 7517 section 5)."""

    keys: tuple[dict[str, Any], ...]


class Provider:
    """Requests to the provider, and the metadata and keys that it gave; one for the process."""

    def __init__(self) -> None:
        self._asking = asyncio.Semaphore(AT_ONCE)
        self._metadata: tuple[str, float, Metadata] | None = None
        self._keys: tuple[str, float, Sequence[Mapping[str, Any]]] | None = None

    async def metadata(self, settings: IdentityProviderSettings) -> Metadata:
        """Return the metadata of the provider; raises ProviderUnavailableError."""
        if self._metadata is not None and self._metadata[0] == settings.issuer and self._metadata[1] > time.monotonic():
            return self._metadata[2]
        content = await self._ask("GET", settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
        try:
            found = msgspec.json.decode(content, type=Metadata)
        except UNDECODABLE as error:
            raise ProviderUnavailableError(f"the metadata of {settings.issuer} cannot be read: {error}") from error
        if found.issuer != settings.issuer:
            raise ProviderUnavailableError(
                f"{settings.issuer} names {found.issuer} as its issuer: write that in api.oidc"
            )
        is_secure = urlsplit(settings.issuer).scheme == "https"
        used = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint)
        for each in filter(None, used):
            if urlsplit(each).scheme not in ({"https"} if is_secure else {"http", "https"}):
                raise ProviderUnavailableError(f"{each} of the identity provider is no https URL")
        self._metadata = (settings.issuer, time.monotonic() + KEPT_S, found)
        return found

    async def proof(self, settings: IdentityProviderSettings, code: str, begun: Continued, now_ms: int) -> Proof:
        """Return what the provider says for a code.

        Raises:
            LogInRefusedError: it refuses the code, or its token proves nothing.
            ProviderUnavailableError: try again.
        """
        metadata = await self.metadata(settings)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.redirect_uri,
            "code_verifier": begun.verifier,
        }
        headers = {}
        secret = None if settings.client_secret is None else settings.client_secret.reveal()
        if secret is not None and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"  # RFC 6749 section 2.3.1
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": settings.client_id} | ({} if secret is None else {"client_secret": secret})
        content = await self._ask("POST", metadata.token_endpoint, urlencode(form).encode(), headers)
        try:
            tokens = msgspec.json.decode(content, type=_Tokens)
        except UNDECODABLE as error:
            raise LogInRefusedError("the identity provider gave no ID token") from error
        claims = await self._claims(settings, metadata, tokens.id_token, begun.nonce, now_ms)
        url = metadata.userinfo_endpoint
        if not (url and tokens.access_token and lacks_claims(settings, claims)):
            return proof_of(settings, claims)
        return proof_of(settings, claims, await self._user_info(url, tokens.access_token))

    async def _claims(
        self, settings: IdentityProviderSettings, metadata: Metadata, token: str, nonce: str, now_ms: int
    ) -> Mapping[str, Any]:
        """Return the claims of an ID token; where its key is not known, the keys are read again."""
        try:
            return claims_of(settings, await self._known_keys(metadata), token, nonce, now_ms)
        except UnknownKeyError:
            keys = await self._known_keys(metadata, older_than_s=RENEWED_S)
        try:
            return claims_of(settings, keys, token, nonce, now_ms)
        except UnknownKeyError as error:
            raise LogInRefusedError(str(error)) from error

    async def _user_info(self, url: str, access_token: str) -> Mapping[str, Any]:
        """Return the claims about the person that the ID token lacks (OpenID Connect Core section 5.3)."""
        content = await self._ask("GET", url, headers={"Authorization": f"Bearer {access_token}"})
        try:
            return msgspec.json.decode(content, type=dict[str, Any])
        except UNDECODABLE as error:
            raise ProviderUnavailableError(f"the claims at {url} cannot be read: {error}; passwords work") from error

    async def _known_keys(self, metadata: Metadata, older_than_s: float = KEPT_S) -> Sequence[Mapping[str, Any]]:
        """Return the keys, read again where they are older."""
        now = time.monotonic()
        if self._keys is not None and self._keys[0] == metadata.jwks_uri and now - self._keys[1] < older_than_s:
            return self._keys[2]
        content = await self._ask("GET", metadata.jwks_uri)
        try:
            keys = msgspec.json.decode(content, type=_Keys).keys
        except UNDECODABLE as error:
            raise ProviderUnavailableError(f"the keys of {metadata.issuer} cannot be read: {error}") from error
        self._keys = (metadata.jwks_uri, now, keys)
        return keys

    async def _ask(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] = {}) -> bytes:
        fields = [("Accept", "application/json"), ("Connection", "close"), *headers.items()]
        if body:
            fields += [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(body)))]
        if self._asking.locked():
            raise ProviderUnavailableError("many people log in by the identity provider: try again")
        try:
            async with self._asking, asyncio.timeout(TIMEOUT_S):
                server = HttpServer(url, _NAMES)
                answer = await server.ask_once(method, server.target, fields, body)
        except NO_ANSWER as error:
            raise ProviderUnavailableError(
                f"the identity provider does not answer at {url}: {str(error) or type(error).__name__}; passwords work"
            ) from error
        if method == "POST" and answer.status in {400, 401}:
            raise _refusal(answer.body)
        if answer.status != 200:
            raise ProviderUnavailableError(f"the identity provider answers {answer.status} at {url}; passwords work")
        return answer.body


def words_of(error: str, description: str) -> str:
    """Return an error in the words of the provider, as far as they can be shown."""
    said = " ".join((f"{error}: {description}" if description else error).split())
    return "".join(each for each in said if each.isprintable())[:WORDS_MAX]


def _refusal(body: bytes) -> LogInRefusedError | ProviderUnavailableError:
    """Return what a refused token means: all but ``invalid_grant`` are about this switch, not about the person."""
    try:
        fault = msgspec.json.decode(body, type=_Fault)
    except UNDECODABLE:
        return ProviderUnavailableError("the identity provider gives no token, and does not say why; passwords work")
    words = words_of(fault.error, fault.error_description)
    if fault.error == "invalid_grant":
        return LogInRefusedError(f"the identity provider refuses the code ({words}): begin again")
    return ProviderUnavailableError(
        f"the identity provider does not take what api.oidc has for it, such as client_id and client_secret ({words}); "
        "passwords work"
    )

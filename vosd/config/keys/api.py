"""``api``: the management API over HTTP."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from vosd.base.host import is_loopback
from vosd.base.secret import Secret
from vosd.config.keys.proofs import password_text
from vosd.config.keys.webhooks import report_url
from vosd.config.reader.addresses import http_listener, network
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    ExpectedError,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    line_of_text,
    switch,
    whole,
)
from vosd.config.reader.files import file_path
from vosd.engine.settings import AccessLogLines, ApiSettings, BrandSettings, HttpListener

_LONGEST: int = 200


CONTRAST_MIN: Final = 4.5
"""Least contrast of text, WCAG 2.2 section 1.4.3: the colour carries white text and stands on white pages."""
_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")


def contrast_with_white(colour: str) -> float:
    """Return the contrast of ``#rrggbb`` and white, by WCAG 2.2."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def readable_colour() -> FromText:
    """Read a colour on which white text can be read."""

    def read(text: str) -> str:
        if not _COLOUR.fullmatch(text):
            raise ValueError
        contrast = contrast_with_white(text)
        if contrast < CONTRAST_MIN:
            raise ExpectedError(
                f"a darker colour: its contrast with white is {contrast:.1f}, and 4.5 is needed to read it"
            )
        return text.lower()

    return FromText("a colour such as #1864ab, with a contrast of at least 4.5 with white", read)


class BrandKeys(Keys):
    """Name and looks of the console, as customers and agents see it, too. It is in the page before the log-in."""

    name: Annotated[str, line_of_text(1, 64)] = "vosd"
    """Name at the top of each page, in its title and at the log-in."""
    colour: Annotated[str | None, readable_colour()] = None
    """Colour of buttons and of the page that is open among the others. Default: blue."""
    logo_file: Annotated[Path | None, file_path()] = None
    """PNG, JPEG, WebP or SVG file of at most 256 KiB, shown 28 pixels high. Default: that of vosd."""
    pay_in: Annotated[tuple[Annotated[str, line_of_text(1, 200)], ...], ONE_OR_MANY] = ()
    """Lines that say to customers and agents how they pay in; ``{account}`` stands for the id of their account."""

    def settings(self) -> BrandSettings:
        """Return how the console looks."""
        return BrandSettings(
            self.name, self.colour, None if self.logo_file is None else str(self.logo_file), self.pay_in
        )


def provider_url() -> FromText:
    """Read a URL of https; http is accepted of this machine alone."""

    def read(text: str) -> str:
        report_url().read(text)
        url = urlsplit(text)
        if url.scheme != "https" and not (url.hostname == "localhost" or is_loopback(url.hostname or "")):
            raise ValueError
        return text

    return FromText("an https URL, such as https://login.example.com", read)


def path_of_page() -> FromText:
    """Read a path of the same host: a browser takes ``//`` and a backslash for another one."""

    def read(text: str) -> str:
        is_path = (
            text.startswith("/") and text.isascii() and text.isprintable() and "\\" not in text and " " not in text
        )
        if not is_path or text.startswith("//"):
            raise ValueError
        return text

    return FromText("a path of this host, such as /", read)


class ApiTlsKeys(Keys):
    """Certificate of the management API. A reload reads the files again where its end is another one."""

    certificate: Annotated[Path | None, file_path()] = None
    """PEM: the certificate, then the intermediate certificates."""
    key: Annotated[Path | None, file_path()] = None
    """PEM, not encrypted: the key of the certificate."""

    def _judge(self) -> None:
        if self.certificate is None and self.key is not None:
            raise KeyProblemError("certificate", "the certificate of the key")
        if self.key is None and self.certificate is not None:
            raise KeyProblemError("key", "the key of the certificate")


class ProviderRoleKeys(Keys):
    """A value of the claim, and the role that it gives."""

    value: Annotated[str, line_of_text(1, _LONGEST)]
    """The value, such as the name of a group of the provider."""
    role: Annotated[str, line_of_text(1, 64)]
    """A role about the whole installation: one that ships, or one of ``vosd user role-set``."""


class IdentityProviderKeys(Keys):
    """OpenID Connect provider by which people log in, beside passwords. Default: none. A reload changes it."""

    issuer: Annotated[str | None, provider_url()] = None
    """URL of the provider; ``/.well-known/openid-configuration`` is below it."""
    client_id: Annotated[str, line_of_text(1, _LONGEST)] = ""
    """Name of this switch at the provider."""
    client_secret: Annotated[Secret | None, password_text()] = None
    """Secret of this switch at the provider, best with ``${ENV}``. Default: none; PKCE protects the log-in with and
    without one."""
    redirect_uri: Annotated[str | None, provider_url()] = None
    """Public URL of ``/api/v1/session/oidc/callback``, as the provider has it."""
    page: Annotated[str, path_of_page()] = "/"
    """Path of this host to which the browser is sent after the log-in."""
    scopes: Annotated[tuple[Annotated[str, line_of_text(1, _LONGEST)], ...], ONE_OR_MANY] = (
        "openid",
        "profile",
        "email",
    )
    """Scopes that are asked for; ``openid`` must be among them."""
    name_claim: Annotated[str, line_of_text(1, _LONGEST)] = "preferred_username"
    """Claim with the name of the person; with ``email`` the provider must say that it is verified."""
    role_claim: Annotated[str, line_of_text(1, _LONGEST)] = "groups"
    """Claim with a word or a list of words; one within others has dots: ``realm_access.roles``."""
    roles: tuple[ProviderRoleKeys, ...] = ()
    """Roles by values of that claim; the first that fits counts, at each log-in. Without these and without ``role``
    people keep the role that they have here."""
    role: Annotated[str | None, line_of_text(1, 64)] = None
    """Role of people who have none of these values. Default: they are refused where ``roles`` are given."""
    makes_people: Annotated[bool, switch()] = False
    """Whether a person that is not known here is made at its first log-in, with the role of its claim."""
    links_people: Annotated[bool, switch()] = False
    """Whether a person of the same name that is known here may log in by the provider. Only where people cannot choose
    their name at the provider: else one could choose that of an administrator."""

    def _judge(self) -> None:
        if self.issuer is None:
            if self.model_fields_set:
                raise KeyProblemError("issuer", "the URL of the provider")
            return
        if not self.client_id:
            raise KeyProblemError("client_id", "the name of this switch at the provider")
        if self.redirect_uri is None:
            raise KeyProblemError("redirect_uri", "a URL that ends in /api/v1/session/oidc/callback")
        if "openid" not in self.scopes:
            raise KeyProblemError("scopes", "openid among the scopes")
        if self.makes_people and not self.roles and self.role is None:
            raise KeyProblemError("roles", "roles, or role: a new person needs one")


class ApiKeys(Keys):
    """Management API over HTTP, by a process of its own. Default: none. A reload changes it."""

    listen: Annotated[HttpListener | None, http_listener(8080)] = None
    """Address at which the API answers. An address that other machines reach needs ``tls``, or a proxy that speaks TLS
    with them and is named in ``trusted_proxies``."""
    tls: ApiTlsKeys = ApiTlsKeys()
    trusted_proxies: Annotated[tuple[Annotated[IPv4Network | IPv6Network, network()], ...], ONE_OR_MANY] = ()
    """Addresses and networks of proxies whose ``X-Forwarded-For`` names the client; that of others is ignored."""
    allow: Annotated[tuple[Annotated[IPv4Network | IPv6Network, network()], ...], ONE_OR_MANY] = ()
    """Addresses and networks whose clients get further than 403, at the console too; default: all. A token may have
    networks of its own besides."""
    token_rate: Annotated[int, whole(0, 100_000)] = 500
    """Most requests a second of one token or session, of which two seconds' worth may come at once; more get 429 with
    ``Retry-After``. 0 = any."""
    address_rate: Annotated[int, whole(0, 100_000)] = 1_000
    """Most requests a second of one address, of IPv6 of one network of 64 bits, whatever their tokens. 0 = any."""
    access_log: Annotated[AccessLogLines, choice(AccessLogLines)] = AccessLogLines.ALL
    """Answers that leave a line in the log (``api_request``): ``all``, ``changes_and_failures`` (other methods than
    GET, and refusals), or ``none``. Reads, and refusals, that are alike share one line a minute."""
    statement_seconds: Annotated[int, whole(0, 3_600)] = 20
    """Longest time of one statement of the API in MariaDB, in MySQL of a SELECT, which then ends it; the request gets
    504. Jobs and backups have no such limit. 0 = any."""
    console: Annotated[bool, switch()] = True
    """Whether the console is at ``/`` of this address: it is for people what the API is for programs."""
    brand: BrandKeys = BrandKeys()
    oidc: IdentityProviderKeys = IdentityProviderKeys()

    def _judge(self) -> None:
        if self.listen is None:
            if self.model_fields_set:
                raise KeyProblemError("listen", "an address and a port, such as 127.0.0.1:8080")
        elif not (is_loopback(self.listen.host) or self.tls.certificate or self.trusted_proxies):
            raise KeyProblemError("tls", "a certificate: tokens and passwords pass here, and others could read them")

    def settings(self, replica: Secret | None, certificate_ends: Mapping[str, int]) -> ApiSettings | None:
        """Return the listener, its protection and the proxies; None = there is no API.

        ``certificate_ends`` has the ends of certificates by file, UTC milliseconds.
        """
        if self.listen is None:
            return None
        return ApiSettings(
            self.listen,
            None if self.tls.certificate is None else str(self.tls.certificate),
            None if self.tls.key is None else str(self.tls.key),
            tuple(map(str, self.trusted_proxies)),
            self.token_rate,
            self.address_rate,
            self.statement_seconds or None,
            replica,
            self.console,
            self.brand.settings(),
            tuple(map(str, self.allow)),
            certificate_ends.get(str(self.tls.certificate)),
            self.access_log,
        )

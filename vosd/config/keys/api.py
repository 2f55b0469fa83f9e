"""``api``: the management API over HTTP."""

from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, model_validator

from vosd.config.reader.addresses import http_listener, network
from vosd.config.reader.fields import KeyProblemError, one_or_many, whole
from vosd.config.reader.files import file_path
from vosd.config.reader.model import Keys
from vosd.engine.settings import ApiSettings, HttpListener


class ApiTlsKeys(Keys):
    """Certificate of the management API. The files are read when its process starts."""

    certificate: Annotated[Path | None, file_path()] = None
    """PEM: the certificate, then the intermediate certificates."""
    key: Annotated[Path | None, file_path()] = None
    """PEM, not encrypted: the key of the certificate."""

    @model_validator(mode="after")
    def _is_whole(self) -> "ApiTlsKeys":
        if self.certificate is None and self.key is not None:
            raise KeyProblemError("certificate", "the certificate of the key")
        if self.key is None and self.certificate is not None:
            raise KeyProblemError("key", "the key of the certificate")
        return self


class ApiKeys(Keys):
    """Management API over HTTP, by a process of its own. Default: none. A reload changes it."""

    listen: Annotated[HttpListener | None, http_listener()] = None
    """Address at which the API answers. An address that other machines reach needs ``tls``, or a proxy that speaks TLS
    with them and is named in ``trusted_proxies``."""
    tls: ApiTlsKeys = ApiTlsKeys()
    trusted_proxies: Annotated[
        tuple[Annotated[IPv4Network | IPv6Network, network()], ...], BeforeValidator(one_or_many)
    ] = ()
    """Addresses and networks of proxies whose ``X-Forwarded-For`` names the client; that of others is ignored."""

    token_rate: Annotated[int, whole(0, 100_000)] = 500
    """Most requests a second of one token or session, of which two seconds' worth may come at once; more get 429 with
    ``Retry-After``. 0 = any."""
    address_rate: Annotated[int, whole(0, 100_000)] = 1_000
    """Most requests a second of one address, of IPv6 of one network of 64 bits, whatever their tokens. 0 = any."""

    not_built: ClassVar[frozenset[str]] = frozenset({"console"})

    @model_validator(mode="after")
    def _is_protected(self) -> "ApiKeys":
        if self.listen is None:
            if self.model_fields_set:
                raise KeyProblemError("listen", "an address and a port, such as 127.0.0.1:8080")
        elif not (ip_address(self.listen.host).is_loopback or self.tls.certificate or self.trusted_proxies):
            raise KeyProblemError("tls", "a certificate: tokens and passwords pass here, and others could read them")
        return self

    def settings(self) -> ApiSettings | None:
        """Return the listener, its protection and the proxies; None = there is no API."""
        if self.listen is None:
            return None
        return ApiSettings(
            self.listen,
            None if self.tls.certificate is None else str(self.tls.certificate),
            None if self.tls.key is None else str(self.tls.key),
            tuple(map(str, self.trusted_proxies)),
            self.token_rate,
            self.address_rate,
        )

"""``sip.tls``: our certificate, and which certificates of peers are accepted."""

from pathlib import Path
from typing import Annotated

from pydantic import model_validator

from vosd.config.reader.fields import KeyProblemError, choice, switch
from vosd.config.reader.files import file_path
from vosd.config.reader.model import Keys
from vosd.net.settings import TlsVersion, VerifyClient


class TlsKeys(Keys):
    """Our certificate, and which certificates of peers are accepted. A reload reads the files again."""

    certificate: Annotated[Path | None, file_path()] = None
    """PEM: our certificate, then the intermediate certificates. Presented to callers and to vendors."""
    private_key: Annotated[Path | None, file_path()] = None
    """PEM, not encrypted: the key of the certificate."""
    ca: Annotated[Path | None, file_path()] = None
    """PEM: the root certificates for verifying peers. Default: those of the operating system."""
    verify_client: Annotated[VerifyClient, choice(VerifyClient)] = VerifyClient.NO
    """Whether a peer that connects to us must present a certificate, may present one (it is then verified), or is not
    asked for one."""
    verify_server: Annotated[bool, switch()] = True
    """``no`` accepts any certificate of a vendor; else it must be valid and name the gateway's host name or address."""
    min_version: Annotated[TlsVersion, choice(TlsVersion)] = TlsVersion.TLS_1_2
    """The oldest version of TLS that is accepted."""

    @model_validator(mode="after")
    def _is_whole(self) -> "TlsKeys":
        if self.certificate is None and self.private_key is not None:
            raise KeyProblemError("certificate", "the certificate of the private key")
        if self.private_key is None and self.certificate is not None:
            raise KeyProblemError("private_key", "the key of the certificate")
        if self.ca is None and self.verify_client is not VerifyClient.NO:
            raise KeyProblemError("ca", "root certificates for clients: the default roots identify no customer")
        return self

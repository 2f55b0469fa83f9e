"""``sip.tls``: our certificate, and which certificates of peers are accepted."""

from pathlib import Path
from typing import Annotated

from vosd.config.reader.addresses import dns_name
from vosd.config.reader.fields import ONE_OR_MANY, KeyProblemError, Keys, choice, object_name, switch
from vosd.config.reader.files import file_path
from vosd.net.settings import TlsVersion, VerifyClient


class TlsIdentityKeys(Keys):
    """Another certificate of ours, or another authority: for vendors with ``tls``, or for callers that want a name."""

    name: Annotated[str, object_name()]
    """Unique in the list."""
    certificate: Annotated[Path | None, file_path()] = None
    """PEM: the certificate with its intermediate ones. Default: that of ``sip.tls``."""
    private_key: Annotated[Path | None, file_path()] = None
    """PEM, not encrypted: its key."""
    ca: Annotated[Path | None, file_path()] = None
    """PEM: the root certificates for verifying the vendor. Default: those of ``sip.tls``."""
    server_name: Annotated[str, dns_name()] = ""
    """Name that the vendor is asked for (SNI) and that its certificate must bear. Default: the host name of the
    gateway, else its address."""
    verify_server: Annotated[bool, switch()] = True
    """``no`` accepts any certificate of the vendor."""
    host_names: Annotated[tuple[Annotated[str, dns_name()], ...], ONE_OR_MANY] = ()
    """Names of ours for which a peer that connects to us is shown this certificate (SNI)."""

    def _judge(self) -> None:
        if self.certificate is None and self.private_key is not None:
            raise KeyProblemError("certificate", "the certificate of the private key")
        if self.private_key is None and self.certificate is not None:
            raise KeyProblemError("private_key", "the key of the certificate")
        if self.certificate is None and self.host_names:
            raise KeyProblemError("host_names", "a certificate for them")


class TlsKeys(Keys):
    """Our certificate, and which certificates of peers are accepted. A reload reads the files again."""

    certificate: Annotated[Path | None, file_path()] = None
    """PEM: our certificate, then the intermediate certificates. Presented to callers and to vendors."""
    private_key: Annotated[Path | None, file_path()] = None
    """PEM, not encrypted: the key of the certificate."""
    ca: Annotated[Path | None, file_path()] = None
    """PEM: the root certificates for verifying peers. Default: those of the operating system."""
    verify_client: Annotated[VerifyClient, choice(VerifyClient)] = VerifyClient.NO
    """Whether a peer that connects to a ``tls:`` socket must present a certificate, may present one (it is then
    verified), or is not asked for one."""
    verify_server: Annotated[bool, switch()] = True
    """``no`` accepts any certificate of a vendor; else it must be valid and name the gateway's host name or address."""
    min_version: Annotated[TlsVersion, choice(TlsVersion)] = TlsVersion.TLS_1_2
    """The oldest version of TLS that is accepted."""
    forward_secrecy: Annotated[bool, switch()] = False
    """``yes`` agrees only on suites by which a key that is stolen later opens nothing that was recorded before: ECDHE
    with AES-GCM or ChaCha20, and all of TLS 1.3. There is no connection with trunks and phones that lack them."""
    identities: tuple[TlsIdentityKeys, ...] = ()
    """Other certificates: of vendors' trunks, by their ``tls``, and for callers that ask for another name."""

    def _judge(self) -> None:
        if self.certificate is None and self.private_key is not None:
            raise KeyProblemError("certificate", "the certificate of the private key")
        if self.private_key is None and self.certificate is not None:
            raise KeyProblemError("private_key", "the key of the certificate")
        if self.ca is None and self.verify_client is not VerifyClient.NO:
            raise KeyProblemError("ca", "root certificates for clients: the default roots identify no customer")
        if self.identities and self.certificate is None:
            raise KeyProblemError("identities", "certificate and private_key, which are shown to everyone else")
        names = [name for each in self.identities for name in each.host_names]
        if len({each.name for each in self.identities}) < len(self.identities) or len(set(names)) < len(names):
            raise KeyProblemError("identities", "each name, and each of host_names, once")

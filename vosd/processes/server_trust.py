"""Trust in servers over TLS: by a file of authorities, else by those of the machine."""

import ssl


def trust_in_servers(authorities: str | None = None) -> ssl.SSLContext:
    """Return what verifies servers, the same with each Python; raises OSError where the file cannot be read.

    From Python 3.13 on, VERIFY_X509_STRICT is set: authorities without a keyUsage, as ``openssl req`` and MySQL make
    them, are refused. VERIFY_X509_PARTIAL_CHAIN is set, too: any certificate of the file is believed by itself.
    """
    context = ssl.create_default_context(cafile=authorities)
    context.verify_flags &= ~(ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN)
    return context

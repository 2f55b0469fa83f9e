"""Trust in servers over TLS: by a file of authorities, else by those of the machine."""

import ssl


def trust_in_servers(authorities: str | None = None) -> ssl.SSLContext:
    """Return what verifies servers, the same with each Python; raises OSError where the file cannot be read.

    Python 3.13 set VERIFY_X509_STRICT: authorities without a keyUsage, as ``openssl req`` and MySQL make them, had been
    believed until then.
    """
    context = ssl.create_default_context(cafile=authorities)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context

"""What stands for a host in a URI or a configuration: an IP address in text, or a domain name."""

import re
from typing import Final

_LABEL: Final = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_DOMAIN: Final = re.compile(rf"(?!.{{254}})(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}\Z", re.ASCII)


def is_address(host: str) -> bool:
    """Say whether a host is an IP address, given that it is an address (without brackets) or a domain name.

    A domain's last label is never all digits (RFC 3696 section 2), so nothing needs to be parsed.
    """
    return ":" in host or host.replace(".", "").isdigit()


def domain(text: str) -> str | None:
    """Return a domain name as it is compared, in lower case and without the final dot; None for anything else.

    Underscores pass: DNS has them, and so have names that people give to machines.
    """
    name = text.lower().removesuffix(".")
    return name if _DOMAIN.match(name) else None

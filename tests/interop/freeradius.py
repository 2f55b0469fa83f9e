"""FreeRADIUS: it judges digests and writes what is accounted into a file, from a configuration of the tests' own."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from doubles.sockets.loopback import Endpoint, udp_bound

from .program import Program

SECRET: Final = "between us"
USERS: Final = {"2001": "right password"}
LONGEST_S: Final = 3
"""Session-Timeout of calls to numbers that end with 9."""

CLASS: Final = "00676f6c64"
"""Class of the same calls, hexadecimal."""

CONFIGURATION: Final = """\
prefix = /usr
name = freeradius
libdir = /usr/lib/freeradius
logdir = {directory}
run_dir = {directory}
security {{
    reject_delay = 1
    status_server = no
    allow_vulnerable_openssl = yes
}}
thread pool {{
    start_servers = 1
    max_servers = 1
    min_spare_servers = 1
    max_spare_servers = 1
}}
client tests {{
    ipaddr = 127.0.0.0/8
    secret = "{secret}"
    require_message_authenticator = yes
}}
modules {{
    detail {{
        filename = {directory}/detail
    }}
    digest {{
    }}
    files {{
        filename = {directory}/users
    }}
}}
server tests {{
    listen {{
        type = auth
        ipaddr = {host}
        port = {port}
    }}
    listen {{
        type = acct
        ipaddr = {host}
        port = {accounting_port}
    }}
    authorize {{
        digest
        files
    }}
    authenticate {{
        digest
    }}
    post-auth {{
        update reply {{
            Message-Authenticator := 0x00
        }}
        Post-Auth-Type REJECT {{
            update reply {{
                Message-Authenticator := 0x00
            }}
        }}
    }}
    accounting {{
        detail
    }}
}}
"""
DICTIONARY: Final = """\
$INCLUDE /usr/share/freeradius/dictionary
ATTRIBUTE Digest-Response 206 string
ATTRIBUTE Digest-Attributes 207 octets
"""


class FreeRadius(Program):
    """One server; a context manager that never leaves its process running."""

    def __init__(self, directory: Path, address: Endpoint) -> None:
        directory.mkdir(exist_ok=True)
        self.address = address
        self._detail = directory / "detail"
        self._detail.touch()  # version 3.2.1 with threads makes no file
        values = {"directory": directory, "secret": SECRET, "host": address.host, "port": address.port}
        (directory / "radiusd.conf").write_text(CONFIGURATION.format(**values, accounting_port=address.port + 1))
        (directory / "dictionary").write_text(DICTIONARY)
        users = [f'{name} Cleartext-Password := "{password}"' for name, password in USERS.items()]
        terms = f"Session-Timeout = {LONGEST_S},\n    Class = 0x{CLASS}"
        capped = f'DEFAULT Called-Station-Id =~ "9$"\n    {terms},\n    Fall-Through = Yes'
        (directory / "users").write_text("\n".join([capped, *users, ""]))
        super().__init__(["freeradius", "-f", "-l", "stdout", "-d", str(directory), "-n", "radiusd"], directory)

    def __enter__(self) -> Self:
        super().__enter__()
        accounting = self.address._replace(port=self.address.port + 1)
        self._wait_until(lambda: udp_bound(self.address) and udp_bound(accounting))
        return self

    def kill(self) -> None:
        """Kill the server."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def accounted(self) -> list[dict[str, str]]:
        """Return the records of the file, the oldest first."""
        return list(_records(self._detail.read_text()))


def _records(text: str) -> Iterator[dict[str, str]]:
    """Yield the attributes of each whole record."""
    for block in text.split("\n\n"):
        lines = [line.strip().partition(" = ") for line in block.splitlines() if " = " in line]
        if any(name == "Timestamp" for name, _, _ in lines):
            yield {name: value.strip('"') for name, _, value in lines}

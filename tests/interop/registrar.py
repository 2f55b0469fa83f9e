"""Kamailio as a vendor's registrar: it wants proof of every REGISTER and INVITE, and keeps who is where in memory.

Owns its configuration and its log of accepted credentials. Its users call one next hop.
"""

import re
import socket
from pathlib import Path
from typing import Final, Self

from doubles.sockets.loopback import Endpoint, udp_bound

from .program import Program

REALM: Final = "kamailio.example"
USERNAME: Final = "trunk"
PASSWORD: Final = "correct horse"
GRANTS_S: Final = 10
"""The switch refreshes at 80 %: it may wait for 2 s for a processor before the registration lapses."""

CONFIGURATION: Final = """\
debug=2
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
alias="{realm}"
dns=no
rev_dns=no
listen=udp:{address}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("registrar", "max_expires", {grants_s})
modparam("registrar", "min_expires", 3)
modparam("auth", "nonce_expire", {nonce_s})
modparam("auth", "algorithm", "{algorithm}")

request_route {{
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{realm}", "{password}", "0")) {{
            xlog("L_WARN", "challenged REGISTER $ci $cs\\n");
            www_challenge("{realm}", "1");
            exit;
        }}
        if ($au != "{username}") {{
            sl_send_reply("403", "Not You");
            exit;
        }}
        save("location");
        xlog("L_WARN", "believed REGISTER $ci $cs\\n");
        if ($hdr(Expires) == "0") xlog("L_WARN", "removed REGISTER $ci $cs\\n");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) t_relay();
        else if (is_method("ACK") && t_check_trans()) t_relay();
        exit;
    }}
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "Here");
        exit;
    }}
    if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{
        xlog("L_WARN", "challenged INVITE $ci $cs\\n");
        proxy_challenge("{realm}", "1");
        exit;
    }}
    consume_credentials();
    t_check_trans();
    record_route();
    xlog("L_WARN", "believed INVITE $ci $cs\\n");
    $du = "sip:{next_hop}";
    t_relay();
}}
"""


OPTIONS: Final = """\
OPTIONS sip:{registrar} SIP/2.0\r
Via: SIP/2.0/UDP {here};branch=z9hG4bKready\r
From: <sip:test@{here}>;tag=test\r
To: <sip:{registrar}>\r
Call-ID: ready@{here}\r
CSeq: 1 OPTIONS\r
Max-Forwards: 70\r
Content-Length: 0\r
\r
"""


class Registrar(Program):
    """One Kamailio; a context manager that never leaves its processes running."""

    def __init__(
        self,
        directory: Path,
        address: Endpoint,
        next_hop: Endpoint,
        *,
        algorithm: str = "MD5",
        nonce_s: int = 300,
        grants_s: int = GRANTS_S,
    ) -> None:
        """It challenges with ``algorithm``; a nonce is valid for ``nonce_s``, a registration for ``grants_s``."""
        self.address = address
        configuration = directory / "registrar.cfg"
        configuration.write_text(
            CONFIGURATION.format(
                address=address, next_hop=next_hop, realm=REALM, username=USERNAME, password=PASSWORD,
                grants_s=grants_s, nonce_s=nonce_s, algorithm=algorithm,
            )
        )  # fmt: skip
        super().__init__(
            ["kamailio", "-DD", "-E", "-f", str(configuration), "-m", "16", "-M", "4", "-Y", ".", "-w", "."], directory
        )

    def __enter__(self) -> Self:
        super().__enter__()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.bind((self.address.host, 0))
            asking.settimeout(0.1)
            # What serves its socket starts later than what opens it, seconds later where other programs run.
            self._wait_until(lambda: udp_bound(self.address) and self._answers(asking))
        return self

    def _answers(self, asking: socket.socket) -> bool:
        host, port = asking.getsockname()
        asking.sendto(OPTIONS.format(registrar=self.address, here=f"{host}:{port}").encode(), self.address)
        try:
            return asking.recv(2_000).startswith(b"SIP/2.0 200 ")
        except TimeoutError:
            return False

    def count(self, what: str, method: str) -> int:
        """Count how many requests of a method were ``challenged``, ``believed`` or ``removed`` so far, each once."""
        return len(set(re.findall(rf"{what} {method} (\S+ \d+)$", self._written().decode(), re.MULTILINE)))

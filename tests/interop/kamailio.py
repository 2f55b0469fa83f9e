"""Kamailio as a proxy between two of the others: transaction-stateful, on the route of every request of a dialog.

Owns its configuration and its account of what passed. What begins a dialog goes to one next hop; what is within
one goes where its route set says (RFC 3261 section 16.12), and is refused where there is none.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from doubles.sockets.loopback import Endpoint, udp_bound

from .program import Program

CONFIGURATION: Final = """\
debug=2
log_stderror=yes
log_prefix="{{$ci}} "
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
tcp_source_ipv4={address.host}
{listeners}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"

request_route {{
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) {{
            xlog("L_WARN", "passed $rm $cs $ci from $pr:$si:$sp\\n");
            t_relay();
        }} else if (is_method("ACK") && t_check_trans()) {{
            t_relay();
        }} else if (!is_method("ACK")) {{
            sl_send_reply("404", "Off The Route");
        }}
        exit;
    }}
    t_check_trans();
    {record_route}
    {change}
    $du = "sip:{next_hop};transport={next_transport}";
    xlog("L_WARN", "began $rm $cs $ci from $pr:$si:$sp\\n");
    t_relay();
}}
"""
_PASSED: Final = re.compile(r"(began|passed) (\w+) (\d+ \S+) from (\w+):([\d.]+):\d+")


class Passage(NamedTuple):
    """One request that went through the proxy."""

    method: str
    sequence: str
    """Number of CSeq and Call-ID."""
    transport: str
    source: str
    """The address that it came from."""
    is_within_dialog: bool


class Kamailio(Program):
    """One proxy; a context manager that never leaves its processes running."""

    def __init__(
        self,
        directory: Path,
        address: Endpoint,
        next_hop: Endpoint,
        *,
        transports: Sequence[str] = ("udp",),
        next_transport: str = "udp",
        change: str = "",
        stays: bool = True,
    ) -> None:
        """Write the configuration of a proxy that listens at ``address`` and sends what begins to ``next_hop``.

        ``change`` is a statement for what begins, ``stays`` whether later requests have to pass it.
        """
        self.address = address
        configuration = directory / "kamailio.cfg"
        configuration.write_text(
            CONFIGURATION.format(
                address=address,
                listeners="\n".join(f"listen={transport}:{address}" for transport in transports),
                next_hop=next_hop,
                next_transport=next_transport,
                change=change,
                record_route="record_route();" if stays else "",
            )
        )
        super().__init__(
            ["kamailio", "-DD", "-E", "-f", str(configuration), "-m", "16", "-M", "4", "-Y", ".", "-w", "."], directory
        )

    def __enter__(self) -> Self:
        super().__enter__()
        self._wait_until(lambda: udp_bound(self.address))
        return self

    def passages(self) -> list[Passage]:
        """Return every request that went through, in order; a retransmission is not counted again."""
        requests = dict.fromkeys(_PASSED.findall(self._written().decode()))
        return [
            Passage(method, sequence, transport, source, what == "passed")
            for what, method, sequence, transport, source in requests
        ]

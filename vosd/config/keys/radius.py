"""``radius``: servers of RADIUS, which account calls and judge passwords."""

from pathlib import Path
from typing import Annotated

from vosd.base.secret import Secret
from vosd.config.keys.proofs import password_text
from vosd.config.reader.addresses import ip, ip_or_name
from vosd.config.reader.fields import KeyProblemError, Keys, choice, line_of_text, milliseconds, switch, whole
from vosd.config.reader.files import file_path
from vosd.engine.settings import AccountedCalls
from vosd.radius.settings import DigestForm, RadiusUsers, Unreachable


class RadiusServerKeys(Keys):
    """One server of RADIUS."""

    address: Annotated[str, ip_or_name()]
    """IP address or name of the server. A name is looked up each minute while it is asked; of several addresses the one
    in use stays while it answers."""
    secret: Annotated[Secret | None, password_text()] = None
    """Secret that the server has for this switch, best with ``${ENV}``."""
    secret_file: Annotated[Path | None, file_path()] = None
    """Instead of ``secret``: a file with it alone, relative to the file that names it; a reload reads it again."""
    auth_port: Annotated[int, whole(1, 65_535)] = 1812
    """UDP port of authentication."""
    accounting_port: Annotated[int, whole(1, 65_535)] = 1813
    """UDP port of accounting."""

    def _judge(self) -> None:
        if (self.secret is None) == (self.secret_file is None):
            raise KeyProblemError("secret", "either secret or secret_file")


class RadiusAccountingKeys(Keys):
    """Accounting of calls (RFC 2866): Start, Interim-Update and Stop, from a spool that survives a kill."""

    calls: Annotated[AccountedCalls, choice(AccountedCalls)] = AccountedCalls.OFF
    """``answered``: calls with an answer; ``all``: those without one have a Stop, too, without a Start."""
    interim: Annotated[int, whole(0, 86_400, "seconds")] = 0
    """Interval of Interim-Updates of a call; 0 = there are none."""
    timeout: Annotated[int, milliseconds(50, 60_000)] = 5_000
    """Time after which a record is sent again, and behind ``tries`` to the next server: no call waits for it, and a
    server answers when it has written the record."""
    tries: Annotated[int, whole(1, 10)] = 6
    """Transmissions of a record to one server, with the same bytes."""
    retry_interval: Annotated[int, milliseconds(100, 3_600_000)] = 5_000
    """Time after which records are sent again that no server has taken; it doubles, up to 15 minutes, for a record that
    gets no answer while others are taken."""
    max_age: Annotated[int, whole(60, 7_776_000, "seconds")] = 604_800
    """An older record is dropped."""
    queue: Annotated[int, whole(100, 1_000_000)] = 50_000
    """Most records that wait, in memory and in ``state_dir``; of more Interim-Updates and Stops of calls without an
    answer are dropped, then the oldest. Each takes about 3 kB of memory and 1 kB on the disk."""
    connections: Annotated[int, whole(1, 256)] = 32
    """Number of records that are sent at a time, each of another call; those that have failed take half of it at most.
    Beside them three times as many may wait for answers that are overdue: those to later records came before."""


class RadiusKeys(Keys):
    """Servers of RADIUS (docs/radius.md). Default: none. A reload changes all of it."""

    servers: tuple[RadiusServerKeys, ...] = ()
    """The servers, in the order in which they are asked."""
    nas_identifier: Annotated[str, line_of_text(1, 253)] = ""
    """NAS-Identifier of our requests. Default: ``node``."""
    nas_address: Annotated[str, ip()] = ""
    """NAS-IP-Address, or NAS-IPv6-Address, of our requests. Default: they have none."""
    timeout: Annotated[int, milliseconds(50, 10_000)] = 1_000
    """Time after which an Access-Request is sent again, and behind ``tries`` the next server is asked: ``tries`` times
    this must be longer than a server delays its rejects (``reject_delay`` of FreeRADIUS)."""
    tries: Annotated[int, whole(1, 10)] = 2
    """Transmissions of an Access-Request to one server."""
    dead_after: Annotated[int, whole(1, 100)] = 2
    """So many requests in a row without an answer take a server out of service ..."""
    dead_time: Annotated[int, milliseconds(0, 3_600_000)] = 30_000
    """... for this time, then it gets a copy of a request that another server has answered, one at a time; two answers
    in a row bring it back. While no other server is in service it is tried each second."""
    require_message_authenticator: Annotated[bool, switch()] = True
    """Whether the answer to an Access-Request needs a Message-Authenticator, without which it can be forged on its way
    (CVE-2024-3596); ``no`` for old servers in a network of your own."""
    authenticate: Annotated[RadiusUsers, choice(RadiusUsers)] = RadiusUsers.OFF
    """Users whose digests the servers judge, in INVITE and REGISTER: ``phones``, mapping ``gateways`` with ``auth``, or
    ``all`` of them. They need no password here."""
    digest: Annotated[DigestForm, choice(DigestForm)] = DigestForm.BOTH
    """Attributes in which a digest is sent: those of RFC 5090, those of the draft before it (``sterman``), which
    FreeRADIUS reads, or both."""
    on_failure: Annotated[Unreachable, choice(Unreachable)] = Unreachable.REFUSE
    """``refuse``: while no server answers, requests get 503; ``local``: passwords of this configuration decide, and
    users without one get 503."""
    deadline: Annotated[int, milliseconds(100, 30_000)] = 5_000
    """Longest wait for the judgement of a password, over all servers."""
    accounting: RadiusAccountingKeys = RadiusAccountingKeys()

    def _judge(self) -> None:
        if not self.servers and self.model_fields_set:
            raise KeyProblemError("servers", "at least one server")
        if len({(each.address, each.auth_port, each.accounting_port) for each in self.servers}) < len(self.servers):
            raise KeyProblemError("servers", "each server once")
        if self.authenticate is not RadiusUsers.OFF and self.deadline <= self.tries * self.timeout:
            raise KeyProblemError("deadline", "more than tries times timeout: no server would be found out of service")

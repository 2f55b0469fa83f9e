"""The keys of telephones: who calls and is called under a number of ours (PHN-01).

The number is the name: it registers under it, and calls from it are limited, priced and recorded as those of a
mapping gateway of that name.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

import msgspec
from pydantic import BeforeValidator, model_validator

from vosd.base.nat import Nat
from vosd.base.number import for_matching
from vosd.base.session_timer import SessionTimerSettings
from vosd.config.keys import later
from vosd.config.keys.proofs import ProofKeys
from vosd.config.keys.session_timers import SessionTimerKeys
from vosd.config.keys.transfers import Shown, TransferKeyKeys, shown_number
from vosd.config.reader.addresses import source
from vosd.config.reader.fields import (
    KeyProblemError,
    choice,
    limit,
    milliseconds,
    object_name,
    one_or_many,
    switch,
    telephone_number,
    whole,
)
from vosd.trunks.dialect import CallerDialect, CallerSource, Transfers
from vosd.trunks.gateways import CallerNumbers, HostPattern, MappingGateway
from vosd.trunks.phone import Phone

DIALECT: Final = CallerDialect(caller_from=(CallerSource.PREFERRED, CallerSource.FROM))
"""A telephone may prefer a number, never assert one (RFC 3325 section 9.1)."""


class PhoneKeys(ProofKeys):
    """A telephone: it registers with a password, calls, and is called."""

    number: Annotated[str, telephone_number()]
    """Unique among the phones: it registers and is called under it, and shows it when it calls."""
    account: Annotated[str, object_name()]
    """The account that pays for its calls."""
    rate_group: Annotated[str | None, object_name()] = None
    """Instead of the account's."""
    hosts: Annotated[tuple[Annotated[HostPattern, source()], ...], BeforeValidator(one_or_many)] = ()
    """Where it may be. Default: anywhere."""
    caller_numbers: Annotated[tuple[Annotated[str, telephone_number()], ...], BeforeValidator(one_or_many)] = ()
    """Numbers that it may show besides its own; in place of any other its own goes out."""
    max_call_seconds: Annotated[int | None, whole(1, 604_800)] = None
    """Longest call, where less than the account's."""
    max_concurrent: Annotated[int | None, limit()] = None
    """Calls of its own at the same time."""
    max_cps: Annotated[int | None, limit()] = None
    """INVITEs accepted in the preceding 1000 ms."""
    ring_timeout: Annotated[int, milliseconds(50, 600_000)] = 60_000
    """From INVITE to the final response, when it is called."""
    offline_gateway: Annotated[str | None, object_name()] = None
    """The routing gateway that takes its calls while it is not registered. Default: the installation's
    ``offline_gateway``, else 480 to the caller."""
    redirect_server: Annotated[str | None, object_name()] = None
    """The routing gateway, with ``redirects: follow``, that is asked first where its calls go. Default: nobody."""
    nat: Annotated[Nat, choice(Nat)] = Nat.AUTO
    """Behind NAT, it is answered and asked where its packets come from, and private addresses in its SDP become that.

    ``auto``: where its Contact is private, and it is seen at a public address or at another than its Via says.
    """
    enabled: Annotated[bool, switch()] = True
    """``no`` refuses its calls and registrations, and those to it."""

    transfer: Annotated[Transfers, choice(Transfers)] = Transfers.ACCEPT
    """Whether it may transfer the calls that it makes, with REFER or by keys."""
    transfer_timeout: Annotated[int, milliseconds(5_000, 180_000)] = 30_000
    """How long the target of a transfer may take to answer, and its number to be dialled by keys."""
    transfer_display: Annotated[Shown, shown_number()] = Shown()
    """The calling number that the target of a transfer is shown: what the transferred call showed (``caller``), the
    phone's own ``number`` (``phone``), or one of its ``caller_numbers``."""
    transfer_keys: TransferKeyKeys = TransferKeyKeys()

    session_timer: SessionTimerKeys = SessionTimerKeys()

    not_built: ClassVar[frozenset[str]] = later.PHONE
    apart: ClassVar[Mapping[str, str]] = {"template": "Name of a template; the phone's own keys win."}

    @model_validator(mode="after")
    def _has_a_password(self) -> "PhoneKeys":
        if not self.is_given:
            raise KeyProblemError("password", "one of password, password_file and ha1_md5 or ha1_sha256")
        shown = self.transfer_display.number
        if shown and shown not in map(for_matching, (self.number, *self.caller_numbers)):
            raise KeyProblemError("transfer_display", "caller, phone, or one of its caller_numbers")
        return self

    def phone(self, session_timer: SessionTimerSettings, offline_gateway: str | None) -> Phone:
        """Return the phone without its credentials; ``offline_gateway`` is that of phones that name none."""
        others = frozenset(map(for_matching, self.caller_numbers))
        gateway = MappingGateway(
            name=self.number,
            account=self.account,
            hosts=self.hosts,
            rate_group=self.rate_group,
            max_call_seconds=self.max_call_seconds,
            max_concurrent=self.max_concurrent,
            max_cps=self.max_cps,
            enabled=self.enabled,
            dialect=msgspec.structs.replace(
                DIALECT,
                transfers=self.transfer,
                transfer_timeout_ms=self.transfer_timeout,
                transfer_display=self.transfer_display.display,
                transfer_number=self.transfer_display.number,
                transfer_keys=self.transfer_keys.keys,
                nat=self.nat,
                session_timer=session_timer,
            ),
            caller_numbers=CallerNumbers(self.number, others),
        )
        return Phone(
            self.number, gateway, self.ring_timeout, self.offline_gateway or offline_gateway, self.redirect_server
        )

"""Phones as the catalogue defines them."""

import msgspec

from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Passing
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.ringing import RingOrder


class Phone(msgspec.Struct, frozen=True):
    """One telephone: it registers, calls, and is called."""

    number: str
    """Under which it registers and is called; also the name of its ``gateway``."""
    gateway: MappingGateway
    """The calling half: account, limits and credentials. It is among the catalogue's mapping gateways as well."""
    ring_timeout_ms: int = 60_000
    ring: RingOrder = RingOrder.IN_TURN
    offline_gateway: str | None = None
    redirect_server: str | None = None
    """The routing gateway that gets its calls first, as a redirect server: its 3xx are followed."""

    voicemail: str | None = None
    mailbox: str = ""
    """Name of its mailbox there; empty = its number."""

    @property
    def enabled(self) -> bool:
        """Whether it may register, call and be called."""
        return self.gateway.enabled


def called_trunk(trunk: MappingGateway) -> RoutingGateway:
    """Return the half of a customer's trunk that is called where it is registered, for the numbers that it was given.

    No vendor is paid, and its limits are those of the calling half.
    """
    spoken = trunk.dialect
    return RoutingGateway(
        name=trunk.name,
        account=None,
        addresses=(),
        prefixes=(),
        max_concurrent=trunk.max_concurrent,
        max_cps=trunk.max_cps,
        shared_limits=trunk.shared_limits,
        allow_unrated=True,
        enabled=trunk.enabled,
        media=trunk.media,
        dialect=CalleeDialect(
            nat=spoken.nat,
            session_timer=spoken.session_timer,
            identity=(IdentityHeader.ASSERTED,),
            is_trusted=False,  # of a customer
            display_name=Passing.PASS,
            reasons=spoken.reasons,
            contact_user=spoken.contact_user,
            contact_host=spoken.contact_host,
            user_agent=spoken.user_agent,
            headers=spoken.headers,
            session_id=spoken.session_id,
            causes=spoken.causes,
            bodies=spoken.bodies,
            messages=trunk.messages_per_minute > 0,
        ),
        serves_numbers=True,
    )


def called_half(phone: Phone) -> RoutingGateway:
    """Return the half of a phone that is called: no vendor is paid, and its limits are those of the calling half."""
    calling = phone.gateway
    return RoutingGateway(
        name=phone.number,
        account=None,
        addresses=(),
        prefixes=(phone.number,),
        max_concurrent=calling.max_concurrent,
        max_cps=calling.max_cps,
        ring_timeout_ms=phone.ring_timeout_ms,
        rings_with=phone.number if phone.ring is RingOrder.TOGETHER else "",
        allow_unrated=True,
        enabled=phone.enabled,
        caller_numbers=calling.caller_numbers,
        media=calling.media,
        dialect=CalleeDialect(
            nat=calling.dialect.nat,
            session_timer=calling.dialect.session_timer,
            messages=calling.messages_per_minute > 0,
        ),
    )

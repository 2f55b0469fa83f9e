"""Keys for numbers that several kinds of trunks have: lists, lengths, rewrite rules and pools."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from vosd.config.reader.fields import Keys, object_name
from vosd.config.reader.number_rules import (
    COMMA_SEPARATED,
    each_left_once,
    length_range,
    one_or_many_rules,
    pattern_or_list,
    rewrite_rule,
)
from vosd.config.reader.numbers import dialled_prefix
from vosd.trunks.number_rules import LengthRange

Patterns = Annotated[tuple[Annotated[str, pattern_or_list()], ...], COMMA_SEPARATED]
Rules = Annotated[
    tuple[Annotated[tuple[str, str], rewrite_rule()], ...],
    BeforeValidator(one_or_many_rules),
    AfterValidator(each_left_once),
]


class IncomingNumberKeys(Keys):
    """Number rules of mapping gateways and phones. Numbers are compared without a leading ``+``."""

    callee_allow: Patterns = ()
    """Called numbers that it may call, as it dials them behind the tech prefix; without any, all. Else the call ends
    with 403, ``Number Not Allowed``."""
    callee_deny: Patterns = ()
    """Called numbers that it may not call, even if ``callee_allow`` has them."""
    caller_allow: Patterns = ()
    """Calling numbers that its calls may have; without any, all. A call without a number has ``anonymous``."""
    caller_deny: Patterns = ()
    """Calling numbers that its calls may not have, even if ``caller_allow`` has them."""
    callee_length: Annotated[LengthRange | None, length_range()] = None
    """Number of digits that it may dial behind the tech prefix. Default: any."""
    callee_rewrite: Rules = ()
    """Changes of the called number before the call is rated and routed: the rule with the longest fitting prefix
    is applied once, see [routing.md](routing.md#rewriting-numbers)."""
    caller_rewrite: Rules = ()
    """Changes of the calling number, by rules of the same form."""
    caller_pool: Annotated[str | None, object_name("number_pools")] = None
    """A pool of ``number_pools``, whose number takes the place of the calling number."""


class OutgoingNumberKeys(Keys):
    """Number rules of routing gateways. Numbers are compared without a leading ``+``."""

    caller_allow: Patterns = ()
    """Calling numbers that it takes calls of, as the mapping gateway has changed them; without any, all."""
    caller_deny: Patterns = ()
    """Calling numbers that it takes no calls of, even if ``caller_allow`` has them."""
    callee_rewrite: Rules = ()
    """Changes of the called number that is sent to it. The call is rated and routed by the number before."""
    tech_prefix: Annotated[str, dialled_prefix()] = ""
    """Digits before the called number that is sent to it, in front of the result of ``callee_rewrite`` makes."""
    caller_rewrite: Rules = ()
    """Changes of the calling number that is sent to it."""
    caller_pool: Annotated[str | None, object_name("number_pools")] = None
    """A pool of ``number_pools``, whose number is sent in place of the calling number."""

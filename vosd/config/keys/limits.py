"""The section ``limits``: what holds for every call."""

from typing import Annotated, ClassVar

from vosd.b2bua.settings import DeadCallBilling
from vosd.config.reader.fields import Keys, choice, whole


class LimitKeys(Keys):
    """Limits that hold for every call."""

    max_call_seconds: Annotated[int, whole(1, 604_800)] = 43_200
    """Longest call in seconds. Accounts and gateways may set less."""
    dead_call_billing: Annotated[DeadCallBilling, choice(DeadCallBilling)] = DeadCallBilling.DETECTION
    """Until when a call is billed whose peer vanished: until that was detected, or until the latest proof of life."""

    not_built: ClassVar[frozenset[str]] = frozenset({"max_calls", "max_cps", "max_concurrent"})

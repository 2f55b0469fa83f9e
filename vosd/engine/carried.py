"""One live call in the switch's hands."""

from vosd.b2bua.call import Call
from vosd.base.wheel import Timer
from vosd.billing.rates import AppliedRate
from vosd.engine.admission import Application, Vendors
from vosd.engine.bookkeeping import OpenCall


class Carried:
    """What the switch keeps beside a call: what it occupies, what it pays, and its one deadline."""

    __slots__ = ("application", "call", "kept", "timer", "vendor_rate", "vendors")

    def __init__(self, call: Call, application: Application, vendors: Vendors) -> None:
        self.call = call
        self.application = application
        self.vendors = vendors
        """Of the catalogue that admitted the call: a reload may have taken a gateway's account away."""
        self.vendor_rate: AppliedRate | None = None
        self.kept: OpenCall | None = None
        """What the journal has of the call, once it is answered."""
        self.timer: Timer[Call] | None = None

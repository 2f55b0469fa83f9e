"""One call: a leg to the caller, a leg to one gateway after another, and what ends it.

Refuses to know sockets, clocks, databases and prices: SIP goes to the sans-IO endpoint, everything else is asked
of the ``Switchboard``. What happens to a call comes in as a method with the instant of its packet.
"""

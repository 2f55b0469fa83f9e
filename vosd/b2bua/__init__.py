"""Back-to-back user agent: one call with a leg to the caller and a leg to one gateway after another.

Pure: SIP goes through the sans-IO endpoint, everything else (money, capacity, journal) through the ``Switchboard``.
An event is a method call with the instant at which its packet arrived.
"""

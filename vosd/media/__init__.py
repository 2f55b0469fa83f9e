"""Media of calls as data: the decision to relay them, the sources that a relay trusts, and figures of quality.

Sockets, processes and SIP are not known here.
"""

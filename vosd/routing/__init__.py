"""Find the caller's gateway and the gateways of a call: identification, matching, order, capacity, failover.

Independent of SIP messages, rates and databases; what it needs of them comes through ``ports``. The rules stand in
``docs/routing.md``.
"""

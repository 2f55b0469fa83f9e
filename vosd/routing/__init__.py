"""Who is calling and where the call may go: identification, matching, order, capacity, failover.

Independent of SIP messages, rates and databases; what it needs of them comes through ``ports``. The rules stand in
``docs/routing.md``.
"""

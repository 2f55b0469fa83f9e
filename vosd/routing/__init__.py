"""Who is calling and where the call may go: identification, matching, order, capacity, failover.

Refuses to know SIP messages, prices and databases; what it needs of them comes through ``ports``.
"""

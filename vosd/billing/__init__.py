"""Prices of calls and the right to spend: rates, increments, charges, holds, ledger entries.

Independent of SIP, gateways and databases: every function is given the rate, the time and the money that it needs. The
rules stand in ``docs/rating.md``.
"""

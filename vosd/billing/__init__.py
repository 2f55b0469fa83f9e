"""What a call costs and who may spend: rates, increments, charges, holds, ledger entries.

Refuses to know SIP, gateways and databases; every function takes the rate, the time and the money it needs.
"""

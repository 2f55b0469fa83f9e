"""Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760), both as who asks and as who is asked.

Refuses to know users, accounts, sockets and clocks: hashes, nonces, and what stands in the four headers.
"""

"""Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760), as server and as client.

Owns hashes, nonces and the four headers. Users, accounts, sockets and clocks are handled elsewhere.
"""

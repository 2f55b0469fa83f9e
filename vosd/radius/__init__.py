"""RADIUS (RFC 2865, 2866): packets, their attributes, and which server is asked.

Pure: sockets, the clock and randomness belong to ``engine.radius``.
"""

"""The shell round the pure core: it owns the clock, the live calls and what the calls ask for.

Refuses to know SQL, YAML and sockets; storage and transports come through ``ports``.
"""

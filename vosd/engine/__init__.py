"""Event loop, clock, live calls and background work around the pure packages.

SQL, YAML and sockets are handled elsewhere; storage and transports are passed in through ``ports``.
"""

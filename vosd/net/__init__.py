"""Sockets: bytes in from peers, bytes out to them. Refuses to know what the bytes say."""

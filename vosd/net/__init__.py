"""Sockets: receive bytes from peers and send bytes to them. The content of messages is not read here."""

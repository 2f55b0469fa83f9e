"""Peers of the switch on real sockets of this machine."""

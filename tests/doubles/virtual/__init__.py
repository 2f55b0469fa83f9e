"""Peers of the switch on virtual time: one process, no socket, no waiting."""

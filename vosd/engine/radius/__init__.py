"""Requests to RADIUS servers over UDP."""

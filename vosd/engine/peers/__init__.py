"""Peers of the switch: addresses, OPTIONS pings, figures and limits of gateways."""

"""Gateways and phones: what call control, routing and the B2BUA know of a trunk."""

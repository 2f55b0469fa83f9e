"""Dialogs (RFC 3261 section 12): both ends, sequence numbers, route set, and the target of the next request."""

"""Dialogs (RFC 3261 section 12): who talks to whom, in which order, and where the next request goes."""

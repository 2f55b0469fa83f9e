"""Requests that belong to no call and go on to another party: MESSAGE, and what mailboxes say (ADR 172)."""

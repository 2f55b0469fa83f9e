"""Registrations in both directions: the registrar of our users, and our registrations with vendors."""

"""Registrations of phones and trunks, and our registrations with vendors, over the sockets and the database."""

"""Copies of a whole database: taken while a switch runs on it, and put into a database that is empty (ADR 73)."""

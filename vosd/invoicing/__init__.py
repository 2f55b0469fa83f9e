"""Invoices: periods, numbers, lines and totals of an account's ledger, and what is paid of them. Pure code.

An invoice is a document about entries that the ledger has; it books nothing. Each entry is on one invoice (ADR 131).
"""

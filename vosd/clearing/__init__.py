"""Clearing with vendors: calls of their bills matched with ours, and the differences explained. No I/O, no clock."""

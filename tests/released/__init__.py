"""Comparison of the management API with that of the last release."""

"""Desired state: the immutable snapshot that calls are decided by."""

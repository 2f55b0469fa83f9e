"""Calls of every kind through the real daemon, which is killed and replaced while they last."""

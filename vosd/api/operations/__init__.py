"""Declared operations, a module for each subject of the office."""

"""Bytes and their meaning: messages are parsed, classified and composed here. No transaction, no dialog."""

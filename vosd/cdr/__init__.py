"""The record of a call: its attempts, its postings and its columns.

It does not know call control (b2bua), rates (billing) and databases (storage).
"""

"""Calls added up by quarters of an hour: what is counted of a call, spans of a calendar, and the reports over them."""

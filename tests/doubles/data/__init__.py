"""Values that tests name: records, gateways, session descriptions."""

"""The switch's side of the metrics: gathers figures in small steps, and keeps the exporter running (ADR 69)."""

"""What decides about alerts: pure, `now` as an argument, no I/O (import-linter holds it to that)."""

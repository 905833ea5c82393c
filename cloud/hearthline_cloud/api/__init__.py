"""The HTTP API of the community center, under `/api/v1`: alerts, events, registry, readings, and the live stream."""

"""The community center: ingest, store, registry, alerts, desk, api, console."""

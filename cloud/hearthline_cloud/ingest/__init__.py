"""From the broker into custody of the cloud: events, status and telemetry, acknowledged only once committed."""

"""The gateway: framing, devices, ports, outbox, uplink, agent."""

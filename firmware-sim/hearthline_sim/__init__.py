"""Simulated devices, homes and a neighbourhood: byte-exact firmware written from the specifications."""

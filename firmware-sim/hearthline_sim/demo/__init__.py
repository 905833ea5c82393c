"""The demo: the whole product as separate processes on free loopback ports, around a simulated home."""

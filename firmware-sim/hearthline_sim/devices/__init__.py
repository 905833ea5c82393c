"""One file a device family. Each is sans-IO: it says which bytes or payloads leave the device and how long after.

A device draws from the `random.Random` it was given and from nothing else, so that a seed replays it.
"""

"""Telling people outside the console: one file a kind of channel, a worker a channel, each attempt in the journal."""

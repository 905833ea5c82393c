"""Simulated devices and homes: byte-exact firmware, written from the specifications and from nothing else.

The room imports the core only. An encoder that shared code with a decoder would mirror its mistakes.
"""

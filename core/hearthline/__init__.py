"""The contract every room shares: model, wire, clock, errors, configuration, logs."""

__version__ = "0.1.0"

"""`hearthline gateway` at the center: the registry's own commands, and those that other parts add to them."""

from hearthline_cloud.commands_enrolment import add_to
from hearthline_cloud.commands_registry import gateway

__all__ = ["gateway"]

add_to(gateway)

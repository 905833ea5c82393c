"""`hearthline gateway` at the center: the registry's own commands, and those that other parts add to them."""

from hearthline_cloud import commands_enrolment, commands_remote
from hearthline_cloud.commands_registry import gateway

__all__ = ["gateway"]

for _part in (commands_enrolment, commands_remote):
    _part.add_to(gateway)

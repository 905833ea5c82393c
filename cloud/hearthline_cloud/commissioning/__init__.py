"""Commissioning of homes: which asked-for presses page nobody, the reports that are kept, and what is left to do."""

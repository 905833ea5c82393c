"""The shipped policies as the text that an administrator begins with."""

from __future__ import annotations

from collections.abc import Iterator

from hearthline_cloud.alerts.escalation import SHIPPED, Policies, Policy

_HEAD = """\
# Who is told of an alert outside the console, and when. These are the shipped policies; every key stands in
# docs/examples/policy.toml. The console shows every alert at once, whatever stands here.
"""


def shipped_text() -> str:
    return "\n".join([_HEAD, *_lines(SHIPPED)])


def _lines(policies: Policies) -> Iterator[str]:
    yield f'otherwise = "{policies.fallback}"\n'
    for rule in policies.rules:
        keys = {"policy": rule.policy, "kind": rule.kind, "cause": rule.cause, "community": rule.community}
        yield "\n".join(["[[rule]]", *(f'{key} = "{value}"' for key, value in keys.items() if value), ""])
    for policy in policies.policies.values():
        yield from _policy(policy)


def _policy(policy: Policy) -> Iterator[str]:
    yield f"[policy.{policy.name}]"
    for key in ("repeat_s", "progress_s", "visit_s", "volunteer_s"):
        yield f"{key} = {_seconds(getattr(policy, key))}"
    for step in policy.steps:
        to = ", ".join(f'"{target}"' for target in step.targets)
        yield f"\n[[policy.{policy.name}.step]]\nafter_s = {_seconds(step.after_s)}\nto = [{to}]"
    yield ""


def _seconds(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)

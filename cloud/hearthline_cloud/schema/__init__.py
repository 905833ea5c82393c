"""The cloud's truth as tables: registry, people, events, alerts, journal, queues. Times are Unix nanoseconds, UTC.

Names, addresses and illnesses live in `home`, `resident` and `volunteer` alone, sealed (`Personal`); everything else
refers to them by pseudonymous ids. The journal's `id` is the cursor that the console resumes from.
"""

from hearthline_cloud.schema.accounts import (
    known_device,
    login_step,
    recovery_code,
    second_factor,
    session,
    staff,
    staff_community,
)
from hearthline_cloud.schema.cases import alert, escalation, event, feedback, journal, notification, policy, work_order
from hearthline_cloud.schema.conventions import metadata
from hearthline_cloud.schema.gateways import (
    Urgency,
    boot_clock,
    certificate,
    command,
    commissioning,
    commissioning_press,
    commissioning_step,
    enrolment,
    remote_ask,
    self_test,
)
from hearthline_cloud.schema.queues import kept_aside, removed, roll_up_due, store_queue
from hearthline_cloud.schema.registry import (
    community,
    consent,
    device,
    erasure,
    gateway,
    home,
    pairing,
    personal_key,
    resident,
    volunteer,
)
from hearthline_cloud.schema.supervision import declared, figure, figure_cursor, heartbeat, unwatched

__all__ = [
    "Urgency",
    "alert",
    "boot_clock",
    "certificate",
    "command",
    "commissioning",
    "commissioning_press",
    "commissioning_step",
    "community",
    "consent",
    "declared",
    "device",
    "enrolment",
    "erasure",
    "escalation",
    "event",
    "feedback",
    "figure",
    "figure_cursor",
    "gateway",
    "heartbeat",
    "home",
    "journal",
    "kept_aside",
    "known_device",
    "login_step",
    "metadata",
    "notification",
    "pairing",
    "personal_key",
    "policy",
    "recovery_code",
    "remote_ask",
    "removed",
    "resident",
    "roll_up_due",
    "second_factor",
    "self_test",
    "session",
    "staff",
    "staff_community",
    "store_queue",
    "unwatched",
    "volunteer",
    "work_order",
]

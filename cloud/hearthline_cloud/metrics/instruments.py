"""The instruments that the roles turn as they work, one registry a role: a process shows those of its own roles alone.

Names follow Prometheus: `hearthline_`, the base unit, `_total` for what only grows. A label's values come from a closed
list or from the configuration, never from a home, a device or a person.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each of ours, of no use here

EVERY_ROLE, INGEST, DESK, WEB = (CollectorRegistry() for _ in range(4))

_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # what a machine does
_WAY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)  # the way of a press, outages included
_PEOPLE_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)  # what people need

# --- every role ---

DATABASE_SECONDS = Histogram(
    "hearthline_database_transaction_seconds",
    "A write transaction, from asking for the writer's lock to the end of its commit",
    registry=EVERY_ROLE,
    buckets=_FAST_S,
)
DATABASE_FAILURES = Counter(
    "hearthline_database_failures_total", "Write transactions that the database could not do", registry=EVERY_ROLE
)
STORE_SECONDS = Histogram(
    "hearthline_store_request_seconds",
    "A request to the time-series store that was answered",
    ["operation"],
    registry=EVERY_ROLE,
    buckets=_FAST_S,
)
STORE_FAILURES = Counter(
    "hearthline_store_failures_total",
    "Requests to the time-series store that found it away, slow or full",
    ["operation"],
    registry=EVERY_ROLE,
)
STORE_POINTS = Counter(
    "hearthline_store_points_total", "Points given to the time-series store", ["result"], registry=EVERY_ROLE
)

# --- ingest ---

CONNECTED = Gauge(
    "hearthline_ingest_connected", "1: connected to the broker and subscribed", ["session"], registry=INGEST
)
WAITING = Gauge("hearthline_ingest_waiting_messages", "Messages that wait for the worker", ["session"], registry=INGEST)
MESSAGES = Counter("hearthline_ingest_messages_total", "Messages that were worked off", ["session"], registry=INGEST)
BATCH_SECONDS = Histogram(
    "hearthline_ingest_batch_seconds",
    "A batch of messages, until it is committed and acknowledged",
    ["session"],
    registry=INGEST,
    buckets=_FAST_S,
)
RECORDS = Counter(
    "hearthline_ingest_records_total", "Records acknowledged to gateways", ["lane", "result"], registry=INGEST
)
ALARMS = Counter("hearthline_alarms_total", "Alarm events stored for the first time", ["kind"], registry=INGEST)
ALARM_STORED_SECONDS = Histogram(
    "hearthline_alarm_stored_seconds",
    "From the press, by its gateway's synchronised clock, to the commit at the center",
    registry=INGEST,
    buckets=_WAY_S,
)

# --- desk ---

ESCALATION_LAG_SECONDS = Histogram(
    "hearthline_escalation_lag_seconds", "How late a step of a policy was taken", registry=DESK, buckets=_WAY_S
)
NOTIFICATIONS = Counter(
    "hearthline_notifications_total", "Attempts to send a message", ["channel", "result"], registry=DESK
)
NOTIFICATION_SECONDS = Histogram(
    "hearthline_notification_delay_seconds",
    "From a message's place in the queue to its being sent",
    ["channel"],
    registry=DESK,
    buckets=_WAY_S,
)
ALARM_NOTIFIED_SECONDS = Histogram(
    "hearthline_alarm_notified_seconds",
    "From a message's alert being raised to the message being sent; steps wait by their policy",
    ["kind"],
    registry=DESK,
    buckets=_PEOPLE_S,
)

# --- web ---

REQUESTS = Counter("hearthline_http_requests_total", "Requests answered", ["method", "route", "status"], registry=WEB)
REQUEST_SECONDS = Histogram(
    "hearthline_http_request_seconds",
    "A request, until its whole answer is sent; streams excepted",
    ["area"],
    registry=WEB,
    buckets=_FAST_S,
)
LISTENERS = Gauge("hearthline_stream_listeners", "Open live streams", registry=WEB)
STREAMED = Counter("hearthline_stream_messages_total", "Entries of the journal put on the stream", registry=WEB)
ALARM_STREAMED_SECONDS = Histogram(
    "hearthline_alarm_streamed_seconds",
    "From the center's receiving an alarm to its being on the live stream",
    registry=WEB,
    buckets=_FAST_S,
)
ALARM_ACKNOWLEDGED_SECONDS = Histogram(
    "hearthline_alarm_acknowledged_seconds",
    "From an alert's being raised to the first person's taking it",
    ["kind"],
    registry=WEB,
    buckets=_PEOPLE_S,
)

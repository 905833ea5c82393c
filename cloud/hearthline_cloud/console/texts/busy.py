"""The page for who asks too often."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "busy.title": ("请求过于频繁", "Too many requests"),
    "busy.text": (
        "请在 {seconds} 秒后重试。呼叫的接听和处理不受影响。",
        "Please try again in {seconds} s. Answering alarms is not affected.",
    ),
}

"""What pages behind a signed link share."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "dead-link.title": ("此链接无效或已失效", "This link does not work any more"),
    "dead-link.text": (
        "请直接联系社区照护中心。紧急情况请拨打 120。",
        "Please call the community care center. In an emergency dial 120.",
    ),
}

"""What is said of a configuration file that cannot be used, in Chinese and English."""

from __future__ import annotations

import re
from typing import Final

from hearthline.speech import Speech, language

TEXTS: Final = Speech(
    {
        "none": (
            "{path}: 没有这个配置文件；用 --config 文件 给出位置",
            "{path}: no such configuration file; give its place with --config FILE",
        ),
        "unread": ("{path}: 无法读取：{why}", "{path}: cannot be read: {why}"),
        "no-toml": ("{path}: 不是正确的 TOML：{why}", "{path}: not valid TOML: {why}"),
        "secret-open": (
            "{name} = {path!r}: 别人可以读取或修改它（权限 {mode}）；请运行 chmod 600 {path}",
            "{name} = {path!r}: others may read it or change it (mode {mode}); chmod 600 {path}",
        ),
        "secret-empty": (
            "{name} = {path!r}: 第一行应是密码或密钥，文件却是空的",
            "{name} = {path!r}: this file should hold the secret in its first line; it is empty",
        ),
        "secret-no-text": (
            "{name} = {path!r}: 文件里的密码不是 UTF-8 文字",
            "{name} = {path!r}: the secret in this file is no text in UTF-8",
        ),
        "secret-unread": (
            "{name} = {path!r}: 无法读取这个密码文件：{why}",
            "{name} = {path!r}: the secret cannot be read from this file: {why}",
        ),
    }
)

_WORDS: Final = (  # (what msgspec says, Chinese, English)
    (r"Object contains unknown field", "没有这个键", "unknown key"),
    (r"Object missing required field", "缺少键", "missing key"),
    (r"Expected `(.+)`, got `(.+)`", r"应为 `\1`，却是 `\2`", r"Expected `\1`, got `\2`"),
    (r"Expected `(.+)` of length (>=|<=|==) (\S+)", r"应为长度 \2 \3 的 `\1`", r"Expected `\1` of length \2 \3"),
    (r"Expected `(.+)` matching regex (.+)", r"应为符合 \2 的 `\1`", r"Expected `\1` matching regex \2"),
    (r"Expected `(.+)` (>=|<=|>|<) (\S+)", r"应为 \2 \3 的 `\1`", r"Expected `\1` \2 \3"),
    (r"Invalid enum value (.+)", r"不能是 \1", r"Invalid enum value \1"),
)


def in_words(message: str) -> str:
    """msgspec says `Object contains unknown field `x` - at `$.serial[0]``; this says `serial[0]: unknown key `x``."""
    text, _, place = message.partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    for pattern, *said in _WORDS:
        text = re.sub(pattern, said[0 if language() == "zh" else 1], text)
    return f"{place}: {text}" if place else text

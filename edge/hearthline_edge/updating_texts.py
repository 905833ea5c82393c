"""What `hearthline edge update` says, in Chinese and English."""

from __future__ import annotations

from hearthline.speech import Speech

TEXTS = Speech(
    {
        "no-manifest": (
            "{place}：没有 release.json，这不是一个发布包；请给出发布文件夹或它的 tar 文件",
            "{place}: no release, it has no release.json; name a release's folder or its tar",
        ),
        "bad-manifest": (
            "{place}：release.json 无法读取（{error}）；请重新拷贝",
            "{place}: release.json cannot be read ({error}); copy the release again",
        ),
        "other-format": (
            "{place}：release.json 的格式不是本版本认识的；请用制作它的版本的说明安装",
            "{place}: release.json is of a format that this version does not know; install it as its own page says",
        ),
        "other-machine": (
            "这个发布包用于 {wanted}，本机是 {here}；请取对应的发布包",
            "the release is for {wanted}, this gateway is {here}; take the release for it",
        ),
        "no-keys": (
            "{keys}：没有发布者的公钥，无法核对签名；请放入公钥，或用 --unsigned",
            "{keys}: holds no key to check a signature with; lay down that of your releases, or add --unsigned",
        ),
        "unsigned": (
            "{place}：没有签名；请取已签名的发布包，或用 --unsigned",
            "{place}: is not signed; take a signed release, or add --unsigned",
        ),
        "other-key": (
            "{place}：签名不属于 {keys} 中的任何公钥，内容可能被改动；请向制作者重新索取",
            "{place}: no key of {keys} has signed it, it may have been changed; get it from its maker again",
        ),
        "bad-key": (
            "{keys}：第 {line} 行不是公钥（64 位十六进制数字）",
            "{keys}: line {line} is no public key (64 hexadecimal digits)",
        ),
        "unreadable": ("{path}：无法读取：{error}", "{path}: cannot be read: {error}"),
        "no-archive": ("{place}：无法作为 tar 读取：{error}", "{place}: cannot be read as a tar: {error}"),
        "missing-file": (
            "{place}：缺少 {name}；请重新拷贝发布包",
            "{place}: {name} is missing; copy the release again",
        ),
        "other-bytes": (
            "{place}：{name} 与 release.json 不符，拷贝不完整或被改动；请重新拷贝发布包",
            "{place}: {name} is not what release.json says, cut off or changed; copy the release again",
        ),
        "no-release": (
            "{place}：这里的 Hearthline 不是由发布包安装的，没有可退回的版本；请在发布文件夹中运行 `sudo sh install`",
            "{place}: this Hearthline was not laid down by a release, so there is nothing to return to; run"
            " `sudo sh install` in the release's folder once",
        ),
        "not-root": ("更新需要 root 权限；请用 sudo 运行", "an update needs root; run it with sudo"),
        "under-way": (
            "一次更新正在进行；请等它结束（hearthline edge doctor 会说明）",
            "an update is under way; wait for its end, `hearthline edge doctor` tells of it",
        ),
        "no-guard": (
            "没有守护服务，更新无法自动退回；请先运行 sudo hearthline edge install",
            "there is no guard that could take an update back; run `sudo hearthline edge install` first",
        ),
        "guard-not-started": (
            "守护服务没有启动（{why}）；请运行 systemctl start {unit}，更新会继续",
            "the guard was not started ({why}); start it, and the update goes on: systemctl start {unit}",
        ),
        "same": ("{new} 已在运行，无需更新", "{new} runs already, there is nothing to do"),
        "no-room": (
            "{root}：更新需要 {need} MiB，只有 {free} MiB 空闲；请清出空间",
            "{root}: the update needs {need} MiB, {free} MiB are free; free some space",
        ),
        "not-laid": (
            "{name} 无法安装：{why}",
            "{name} could not be laid down: {why}",
        ),
        "no-pip": (
            "Python 没有带 pip；请运行 apt-get install python3-venv",
            "Python brings no pip for new environments: apt-get install python3-venv",
        ),
        "not-fit": (
            "{name} 在本机无法工作，没有切换：{why}",
            "{name} would not work here, nothing was switched: {why}",
        ),
        "no-center": (
            "中心在 {seconds} 秒内没有确认收到，更新后也无法证明，没有切换；请先恢复线路，或用 --offline",
            "the center did not say `received` within {seconds} s, so it could not prove the update; nothing was"
            " switched. Mend the line first, or add --offline",
        ),
        "root-files": ("{path}：无法写入：{error}", "{path}: cannot be written: {error}"),
        "checked": ("发布包 {name}：内容与签名已核对", "release {name}: bytes and signature are right"),
        "checked-unsigned": (
            "发布包 {name}：内容已核对，没有核对签名",
            "release {name}: bytes are right, signature not checked",
        ),
        "laid": (
            "已装好 {name}，能读取本机的配置和发件箱",
            "{name} is laid down, and reads this configuration and outbox",
        ),
        "center-there": ("中心已确认收到", "the center says `received`"),
        "switching": (
            "正在切换；{minutes:g} 分钟内未被证明就自动退回 {old}。现在可以离开",
            "switching; it goes back to {old} by itself unless proved within {minutes:g} min. You may leave now",
        ),
        "proved": ("{new} 在运行，中心已收到它的消息", "{new} runs, and the center has received from it"),
        "proved-offline": (
            "{new} 在运行，发件箱正常；中心尚未证实",
            "{new} runs, and its outbox takes events; no center has proved it",
        ),
        "away": ("更换期间 {seconds:.1f} 秒没有代理程序", "no agent was there for {seconds:.1f} s"),
        "undone": (
            "{new} 已退回，{old} 在运行：{reason}。记录：journalctl -u hearthline-guard -u hearthline-edge",
            "{new} was taken back, {old} runs: {reason}. The log: journalctl -u hearthline-guard -u hearthline-edge",
        ),
        "going-on": (
            "还没有结果；hearthline edge doctor 会说明",
            "no end yet; `hearthline edge doctor` tells of it",
        ),
    }
)
say = TEXTS.say

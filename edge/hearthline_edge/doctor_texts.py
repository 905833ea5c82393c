"""What `hearthline edge doctor` says of a gateway's surroundings, in Chinese and English."""

from __future__ import annotations

from hearthline.speech import Speech

TEXTS = Speech(
    {
        "certificate-ends": (
            "证书 {ends} 到期：{hint}；请向中心要新文件。",
            "It ends on {ends}: {hint}; ask the center for new files.",
        ),
        "hint-renews": (
            "为何没有自动更新，见其故障和日志",
            "its faults and log say what keeps it from renewing",
        ),
        "hint-by-hand": ("uplink.renew 已关闭", "uplink.renew is off"),
        "certificate-renews": (
            "有效期至 {ends}，到期前自动更新。",
            "It is good until {ends} and renews itself before.",
        ),
        "certificate-by-hand": (
            "有效期至 {ends}，由人工更新。",
            "It is good until {ends} and is renewed by hand.",
        ),
        "remote-hands": (
            "中心更改了 {keys}：在 center.toml，优先于本机的文件。",
            "The center has changed {keys}: center.toml, over this gateway's own file.",
        ),
        "no-folder": (
            "data_dir {folder} 不存在；请建立，并归代理程序的用户所有。",
            "data_dir {folder} does not exist; create it, owned by the agent.",
        ),
        "folder-closed": (
            "data_dir {folder} 无法写入；请交给运行代理程序的用户。",
            "data_dir {folder} cannot be written; give it to the user that runs the agent.",
        ),
        "no-telemetry": (
            "{folder} 只剩 {free} MiB：已不再接收测量值；请清出空间。",
            "only {free} MiB are free at {folder}: telemetry is not taken any more; free some space.",
        ),
        "little-room": (
            "{folder} 有 {free} MiB 空闲，可能需要 {wanted}；请清出空间。",
            "{free} MiB are free at {folder}, {wanted} may be needed; free some space.",
        ),
        "room": ("{folder} 有 {free} MiB 空闲。", "{free} MiB are free at {folder}."),
        "no-outbox": ("还没有 {path}；代理程序会建立它。", "there is no {path} yet; the agent will make it."),
        "outbox-unread": (
            "{path} 无法读取：{error}；请检查属主和存储卡。",
            "{path} cannot be read: {error}; look at its owner and at the SD card.",
        ),
        "outbox-broken": (
            "{path} 不是可读的发件箱（{error}）。代理程序启动时会把它移到一边并新建一个；"
            "请保留移走的文件，其中可能有报警，并更换存储卡。",
            "{path}: not a readable outbox ({error}). The agent sets it aside when it starts and goes on with a new "
            "one; keep what it sets aside, it may hold alarms, and replace the SD card.",
        ),
        "right": ("正常 ", "ok   "),
        "wrong": ("错误 ", "WRONG"),
        "name.agent": ("代理程序", "agent"),
        "name.center": ("中心", "center"),
        "name.certificate": ("证书", "certificate"),
        "name.clock": ("时钟", "clock"),
        "name.configuration": ("配置", "configuration"),
        "name.devices": ("设备", "devices"),
        "name.disk": ("磁盘", "disk"),
        "name.local broker": ("本地服务器", "local broker"),
        "name.name of port": ("串口名称", "name of port"),
        "name.outbox": ("发件箱", "outbox"),
        "name.profile": ("设备描述", "profile"),
        "name.refused of": ("拒收", "refused of"),
        "name.relay": ("继电器", "relay"),
        "name.release keys": ("发布密钥", "release keys"),
        "name.remote hands": ("中心的更改", "remote hands"),
        "name.serial port": ("串口", "serial port"),
        "name.version": ("版本", "version"),
        "outbox-damaged": (
            "{file} 因损坏被移到一边；请交给中心，移走，并更换存储卡。",
            "{file} was set aside as damaged; send it to the center, remove it, replace the SD card.",
        ),
        "outbox": ("{path} 的结构与本版本一致。", "{path} has the schema of this version."),
        "refused": ("{count} {what}。", "{count} {what}."),
        "refused-noise": (
            "字节不属于任何帧：若增多，检查线路参数和接地",
            "bytes that belong to no frame: look at line settings and grounding if they grow",
        ),
        "refused-length": (
            "帧长度不对：检查设备型号和版本",
            "frames of a wrong length: look at the device's model and version",
        ),
        "refused-checksum": (
            "帧校验不对：检查电缆、终端电阻和速率",
            "frames with a wrong checksum: look at cable, termination and speed",
        ),
        "refused-sanity": (
            "不可能的值：检查设备，或配置文件的路径和比例",
            "values that cannot be: look at the device, or at the profile's path and scale",
        ),
        "refused-unsupported": (
            "驱动不认识的帧：试用配置文件",
            "frames of a kind that the driver does not know: try a profile",
        ),
        "refused-error-reply": (
            "设备回复了错误：检查向它询问的内容",
            "errors that devices replied: look at what they are asked for",
        ),
        "refused-echo": (
            "请求被当作应答返回：检查适配器的回显设置",
            "requests that came back as answers: look at the adapter's echo setting",
        ),
        "refused-driver-error": (
            "驱动的错误：请连同 `hearthline edge outbox` 的显示报告",
            "mistakes of a driver: please report them with what `hearthline edge outbox` shows",
        ),
        "no-home": (
            "中心还没有登记本网关的住户；请在中心登记：hearthline gateway add。",
            "the center knows no home of this gateway yet; have it registered there: hearthline gateway add.",
        ),
        "devices-known": (
            "本户绑定了 {count} 个设备；中心都已知道。",
            "{count} are bound in this home; the center knows them all.",
        ),
        "devices-wait": (
            "本户绑定了 {count} 个设备；{waiting} 个等待中心答复。",
            "{count} are bound in this home; {waiting} wait for the center's answer.",
        ),
        "no-port": (
            "{path} 不存在；请插上适配器，或更正路径。",
            "{path} does not exist; plug the adapter in, or correct the path.",
        ),
        "port-closed": (
            "{path} 不允许打开；请把代理程序的用户加入 dialout 组。",
            "{path} may not be opened; add the agent's user to the group dialout.",
        ),
        "port-broken": (
            "{path} 无法打开：{error}；请检查电缆和适配器。",
            "{path} cannot be opened: {error}; look at cable and adapter.",
        ),
        "no-serial-port": ("{path} 不是串口；请更正路径。", "{path} is no serial port; correct the path."),
        "port-in-use": (
            "{path} 存在，正在使用（看来是代理程序）。",
            "{path} is there, and in use (by the running agent, it seems).",
        ),
        "port": ("{path} 可以打开。", "{path} can be opened."),
        "line-settings": (
            "{path} 不接受 {settings}（{error}）；请更正线路参数，或更换适配器。",
            "{path} does not take {settings} ({error}); correct the line settings, or the adapter.",
        ),
        "passing-name": (
            "{path} 下次启动后可能是另一个适配器；请改写为 {better}。",
            "{path} may be another adapter after the next start; write {better} instead.",
        ),
        "better-name": (
            "它在 /dev/serial/by-id 或 /dev/serial/by-path 下的链接",
            "its link under /dev/serial/by-id or /dev/serial/by-path",
        ),
        "no-trust": (
            "{place} 与本网关互不信任（{error}）；请检查 {section}。",
            "{place} and this gateway do not trust each other ({error}); check {section}.",
        ),
        "no-answer": (
            "{place} 无人应答（{error}）；请启动该服务器，或更正 [{section}]。",
            "nobody answers at {place} ({error}); start the broker, or correct [{section}].",
        ),
        "no-mqtt": (
            "{place} 不是 MQTT；请更正 [{section}] 的端口或 TLS。",
            "{place} does not speak MQTT; correct port or TLS in [{section}].",
        ),
        "no-login": (
            "{place} 拒绝登录（{error}）；请更正 username 和 password_file。",
            "{place} refuses the login ({error}); correct username and password_file.",
        ),
        "login": ("{place} 有应答，接受登录。", "{place} answers and accepts the login."),
        "clock": ("时钟已同步。", "the clock is synchronised."),
        "clock-free": (
            "时钟没有同步，时间是估计的；请打开 NTP（timedatectl set-ntp true）。",
            "the clock is not synchronised, so times are estimated; switch NTP on (timedatectl set-ntp true).",
        ),
        "agent": (
            "版本 {version} 在运行，没有报告故障。",
            "version {version} runs and tells no fault of its own.",
        ),
        "no-record": (
            "{error}；请移走它，并检查存储卡。",
            "{error}; remove it, and look at the SD card.",
        ),
        "no-keys": (
            "缺少 {keys}：不接受任何已签名的发布包；请放入发布者的公钥。",
            "{keys} is missing: no signed release is taken; lay your office's key down.",
        ),
        "trial": (
            "{new} 正在试运行（{phase}），最后一个好版本是 {old}；失败会自动退回。",
            "{new} is on trial ({phase}), the last good one is {old}; it goes back by itself if it fails.",
        ),
        "trial-unwatched": (
            "{new} 正在试运行（{phase}），最后一个好版本是 {old}，但没有守护程序：systemctl start {unit}。",
            "{new} is on trial ({phase}), the last good one is {old}, and nobody watches: systemctl start {unit}.",
        ),
        "good": ("{current} 在运行，是最后一个好版本{before}。", "{current} runs and is the last good one{before}."),
        "kept": ("；保留了之前的 {before}", "; {before} before it is kept"),
        "undone": (
            "{current} 在运行，是最后一个好版本{before}。到 {new} 的更新已退回：{reason}；"
            "请把日志交给制作者：journalctl -u hearthline-guard -u hearthline-edge。",
            "{current} runs and is the last good one{before}. The update to {new} was taken back: {reason}; send the"
            " log to who made it: journalctl -u hearthline-guard -u hearthline-edge.",
        ),
        "config": ("{config} 正确。", "{config} is right."),
    }
)
say = TEXTS.say


def named(check: str) -> str:
    """What a check is called: `serial port radio` is of the kind `serial port`."""
    kinds = (key.removeprefix("name.") for key in TEXTS.texts if key.startswith("name."))
    kind = next((each for each in kinds if check == each or check.startswith(f"{each} ")), "")
    return say(f"name.{kind}") + check[len(kind) :] if kind else check

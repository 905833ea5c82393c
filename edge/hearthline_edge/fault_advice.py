"""What to do about each fault that the agent tells, by how it begins; a test walks every fault in the sources."""

from __future__ import annotations

import re
from typing import Final

from hearthline.speech import Speech

TEXTS: Final = Speech(
    {
        "port": (
            "检查适配器和连接线；`dmesg` 显示系统是否看到它，[[serial]] 的 port 是否正确",
            "look at the adapter and its cable; `dmesg` says whether the kernel sees it, [[serial]] names its port",
        ),
        "line": (
            "更正该端口的 baudrate、bytesize、parity、stopbits，然后重启代理程序；其他端口照常工作",
            "correct that port's baudrate, bytesize, parity, stopbits, then restart the agent; the other ports go on",
        ),
        "local-login": (
            "更正 [local_mqtt] 的 username 和 password_file",
            "correct username and password_file of [local_mqtt]",
        ),
        "local-acl": ("在本地 MQTT 服务器的 ACL 中允许它", "allow it in the ACL of the home's broker"),
        "local-broker": (
            "启动本地 MQTT 服务器：systemctl start mosquitto；或更正 [local_mqtt]",
            "start the home's broker: systemctl start mosquitto; or correct [local_mqtt]",
        ),
        "deaf": (
            "请中心允许本网关读取其 down/ 主题；在此之前收不到确认，报警会重复发送",
            "ask the center to allow this gateway its down/ topics; until then nothing is acknowledged",
        ),
        "uplink": (
            "检查到中心的线路和 [uplink]；报警保存在本机，线路恢复后先发送",
            "look at the line to the center and at [uplink]; alarms wait on this disk and go first",
        ),
        "siren": (
            "检查警笛或继电器的电源、连接线和 [[siren]]",
            "look at the siren's or relay's power and cable, and at [[siren]]",
        ),
        "refused-alarm": (
            "按复位，并打电话告诉中心：它拒绝了报警",
            "press reset, and call the center: it has refused alarms of this home",
        ),
        "certificate": (
            "请中心签发新证书（hearthline gateway enrol，或 ca issue），放入后重启代理程序",
            "ask the center for a new certificate (a new code for `hearthline gateway enrol`), then restart the agent",
        ),
        "control": (
            "检查 data_dir 的属主和空间；报警不受影响，但现场工具不能用",
            "look at owner and room of data_dir; alarms go on, the tools in the home do not work",
        ),
        "devices-refused": (
            "把它还给那一家，或请中心解除绑定后重新绑定；移出本机列表：hearthline edge devices remove 编号",
            "give it back, or have the center free it; out of this list it goes with: hearthline edge devices remove",
        ),
        "devices-unwritten": (
            "检查配置文件夹的属主和空间：sudo hearthline edge install 会改正属主",
            "look at owner and room of the configuration's folder; `sudo hearthline edge install` puts its owner right",
        ),
        "devices-lost": (
            "网关会向中心索取列表；在此之前每个按钮都按紧急报警处理",
            "the gateway asks the center for it; until it comes every button means an emergency",
        ),
        "disk-full": ("清出空间；剩余空间只留给报警", "free some space; what is left is kept for alarms"),
        "damaged": (
            "把该文件交给中心（可能含有报警），然后移走，并更换存储卡",
            "send that file to the center, it may hold an alarm; then remove it and replace the card",
        ),
        "waiting": (
            "检查到中心的线路；事件保存在本机，不会丢弃",
            "look at the line to the center; they are kept and none is dropped",
        ),
        "lost": (
            "清出空间并检查存储卡（dmesg）；此计数在代理程序重启后归零",
            "free some space and look at the card (`dmesg`); the count begins anew with the agent",
        ),
        "storage": (
            "检查空间和存储卡（df、dmesg）；存储卡不响应就更换",
            "look at room and card (`df`, `dmesg`); replace a card that does not answer",
        ),
        "profile": (
            "更正该配置文件（hearthline edge profiles --check 文件），然后重启代理程序",
            "correct that file (`hearthline edge profiles --check FILE`), then restart the agent",
        ),
        "set-aside": (
            "请中心重新发送；网关在没有它的情况下继续工作",
            "have the center send it again; the gateway works without it meanwhile",
        ),
        "update": (
            "记录：journalctl -u hearthline-edge -u hearthline-guard",
            "the log says more: journalctl -u hearthline-edge -u hearthline-guard",
        ),
        "unknown": (
            "记录会说明更多：journalctl -u hearthline-edge",
            "the log says more: journalctl -u hearthline-edge",
        ),
    }
)
_BY_BEGINNING: Final = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"port .+: ", "port"),
        (r"local broker \(.+\): refused the login", "local-login"),
        (r"local broker \(.+\): refused to let", "local-acl"),
        (r"local broker \(.+\): ", "local-broker"),
        (r"uplink: the broker lets this gateway hear nothing", "deaf"),
        (r"uplink: ", "uplink"),
        (r"siren[ :]", "siren"),
        (r"home: the center refused", "refused-alarm"),
        (r"certificate: ", "certificate"),
        (r"control: ", "control"),
        (r"devices: the list is not known: ", "devices-lost"),
        (r"devices: .+ cannot be written: ", "devices-unwritten"),
        (r"devices: ", "devices-refused"),
        (r"outbox: the disk is nearly full", "disk-full"),
        (r"outbox: was damaged", "damaged"),
        (r"outbox: .+ events wait", "waiting"),
        (r"outbox: .+ could not be stored since the start", "lost"),
        (r"outbox: .+ cannot be stored", "storage"),
        (r"outbox: cannot be read", "storage"),
        (r"profile .+: ", "profile"),
        (r".+: serial\[\d+\]: .+; the port .+ is not served", "line"),
        (r".+; the port .+ is not served", "profile"),
        (r".+: serial\[.+\]\.options", "profile"),
        (r".+ is set aside: ", "set-aside"),
        (r"update: ", "update"),
    )
)


def is_known(fault: str) -> bool:
    return _key(fault) != "unknown"


def what_to_do(fault: str) -> str:
    return TEXTS.say(_key(fault))


def _key(fault: str) -> str:
    return next((key for pattern, key in _BY_BEGINNING if pattern.match(fault)), "unknown")

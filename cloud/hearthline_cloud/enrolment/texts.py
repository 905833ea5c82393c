"""What the commands of enrolment say to people at the center, in both languages."""

from __future__ import annotations

from hearthline.speech import Speech

TEXTS = Speech(
    {
        "code.help": (
            "为一台网关生成一次性注册码，可打印带二维码的标签。网关上运行：hearthline gateway enrol 注册码\n\n"
            "例：hearthline gateway code gw-east-1 --label gw-east-1.pdf",
            "Make a one-time code for a gateway, and a label. On the gateway: hearthline gateway enrol CODE\n\n"
            "Example: hearthline gateway code gw-east-1 --label gw-east-1.pdf",
        ),
        "bundle.help": (
            "为没有网络的家生成U盘上的加密文件和注册码。\n\n"
            "网关所需的一切都在文件里，注册码打开它。网关上运行：hearthline gateway enrol --bundle 文件 注册码\n\n"
            "例：hearthline gateway bundle gw-east-1 --out /media/stick/gw-east-1.hearthline",
            "Write all that a gateway needs into an encrypted file, for a home without a network, and make the code"
            " that opens it. On the gateway: hearthline gateway enrol --bundle FILE CODE\n\n"
            "Example: hearthline gateway bundle gw-east-1 --out /media/stick/gw-east-1.hearthline",
        ),
        "gateway": ("网关编号。", "The gateway's id."),
        "config": ("中心的配置文件。", "The cloud's configuration file."),
        "json": ("输出一个 JSON 对象，供程序使用。", "Print one JSON object for machines."),
        "hours": ("有效小时数。", "For how many hours it is good."),
        "again": (
            "由另一台机器接替这台网关（例如存储卡坏了）；旧证书随之吊销，编号和历史不变。",
            "Another machine takes this gateway's place, e.g. after its card died: the old certificates are revoked, id"
            " and history stay.",
        ),
        "label": (
            "把标签写入此文件：.svg、.pdf，或 .png（只有二维码）。",
            "Write the label into this file: .svg, .pdf, or .png, which has the QR code alone.",
        ),
        "url": (
            "网关访问中心的地址；默认 web.public_url。",
            "Where gateways reach the center; by default web.public_url.",
        ),
        "out": ("加密文件写到哪里。", "Where the encrypted file goes."),
        "made": (
            "{gateway} 的注册码，到 {ends} 为止，只能用一次：",
            "The code for {gateway}, good once, until {ends}:",
        ),
        "on_gateway": ("在网关上运行：", "On the gateway run:"),
        "no_url": (
            "配置里没有 web.public_url，标签上没有中心的地址：安装时要加 --center。",
            "web.public_url is not set, so that the label does not say where the center is: --center is needed there.",
        ),
        "label_written": ("标签：{file}", "The label is in {file}."),
        "bundle_written": (
            "文件：{file}。U盘和注册码分开带；在网关第一次连上中心时，里面的密钥就会被换掉。",
            "The file is {file}. Carry the code apart from it. The key in it is replaced when the gateway first reaches"
            " the center.",
        ),
        "no_gateway": (
            "没有网关 {gateway}；先用 hearthline gateway add 登记。",
            "there is no gateway {gateway}; `hearthline gateway add` makes it known",
        ),
        "has_certificates": (
            "{gateway} 已有证书；加 --again 则由另一台机器接替它，现有证书随之吊销。",
            "{gateway} has its certificates already; with --again another machine takes its place, and the certificates"
            " of the present one are revoked",
        ),
        "bad_hours": (
            "--hours：有效期要大于 0，至多 {most} 小时。",
            "--hours: a code is good for more than 0 and at most {most} hours",
        ),
        "no_identity": (
            "cloud.toml 里要有 [identity] 的 folder、broker 和 names。",
            "this needs folder, broker and names in the section [identity] of cloud.toml",
        ),
        "bad_label": (
            "--label {file}：文件名要以 .svg、.pdf 或 .png 结尾。",
            "--label {file}: its name must end with .svg, .pdf or .png",
        ),
        "bad_url": (
            "--url {url}：要写成 https://主机 或 https://主机:端口。",
            "--url {url}: write https://HOST or https://HOST:PORT",
        ),
        "exists": (
            "{file} 已经存在，不会覆盖。",
            "{file} is there already; it is not written over",
        ),
        "taken_back": (
            "{gateway} 的这个注册码已作废，为它签发的证书已吊销；之前给这台网关的注册码和未用的文件也不再有效。",
            "This code for {gateway} was withdrawn and the certificates signed for it were revoked; earlier codes and"
            " unused files for this gateway are worth nothing either.",
        ),
        "not_written": ("{file}：写不了：{why}。请重新生成。", "{file}: cannot be written: {why}. Make a new one."),
    }
)

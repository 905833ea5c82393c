"""What `hearthline gateway enrol` says to an installer, in both languages."""

from __future__ import annotations

from hearthline.errors import HearthlineError
from hearthline.speech import Speech

TEXTS = Speech(
    {
        "gateway": ("这台机器作为网关：注册、验收。", "This machine as a gateway: enrol, commission."),
        "help": (
            "用一次性注册码把这台机器变成网关：取得证书、中心地址和设备表，写好配置并启动。断电后再运行一次即可。\n\n"
            "例：sudo hearthline gateway enrol 7K3M-Q2XA-0000-0000-0000 --center https://center.example.org",
            "Make this machine a gateway by a one-time code: it gets certificates, the center's address and its"
            " devices, writes its configuration and starts. After a power cut run it again.\n\n"
            "Example: sudo hearthline gateway enrol 7K3M-Q2XA-0000-0000-0000 --center https://center.example.org",
        ),
        "code": (
            "标签上的注册码，键入或扫描；不写就会询问。",
            "The code of the label, typed or scanned; else it is asked for.",
        ),
        "center": (
            "中心的网址；标签上有就不用写。",
            "The center's address; not needed where the label says it.",
        ),
        "ca_file": (
            "签发中心网站证书的机构（PEM），如果系统不认识它。",
            "Who has certified the center's web address (PEM), where this system does not know it.",
        ),
        "bundle": ("U盘上的加密文件，代替网络。", "The encrypted file on a stick, instead of a network."),
        "folder": ("配置文件夹。", "The configuration's folder."),
        "data_dir": ("发件箱的文件夹。", "The folder of the outbox."),
        "no_start": ("只写配置，不安装也不启动服务。", "Write the configuration only; install and start nothing."),
        "ask_code": ("注册码（键入，或扫描标签）", "Code (type it, or scan the label)"),
        "empty": ("没有注册码。", "there is no code"),
        "foreign": (
            "这不是注册码，可能是别的设备的标签。注册码印在中心给的标签上，20 个字母和数字，例如 7K3M-Q2XA-…",
            "this is no code for enrolling, it may be the label of another device. The code stands on the label from"
            " the center: 20 letters and digits, such as 7K3M-Q2XA-…",
        ),
        "length": (
            "注册码有 20 个字符，这里是 {length} 个：漏了字，或这是别的设备的标签。",
            "a code has 20 characters, this has {length}: one is missing, or it is the label of another device",
        ),
        "check": (
            "注册码有一个字打错了，请对照标签再输一次。",
            "a character of the code is mistyped: look at the label again",
        ),
        "no_center": (
            "不知道中心在哪里：加 --center https://…，或扫描标签。",
            "where is the center? Add --center https://…, or scan the label",
        ),
        "bad_center": (
            "--center {center}：要写成 https://主机 或 https://主机:端口。",
            "--center {center}: write https://HOST or https://HOST:PORT",
        ),
        "asking": ("正在向 {center} 注册 …", "Asking {center} …"),
        "waits": ("中心已收到，等待签发 …", "The center has the request and will sign it …"),
        "unreachable": (
            "连不上 {center}：{why}。什么都没有改动；网络好了再运行一次，或用U盘文件（--bundle）。",
            "{center} cannot be reached: {why}. Nothing was changed; run it again when the network works, or use a file"
            " on a stick (--bundle).",
        ),
        "not_trusted": (
            "不信任 {center} 的证书：{why}。看看本机时间是否正确；如果中心用自己的证书机构，加 --ca-file。",
            "the certificate of {center} is not trusted: {why}. Is this machine's clock right? If the center has an"
            " authority of its own, add --ca-file.",
        ),
        "ca_unusable": ("--ca-file {file}：不能用：{why}", "--ca-file {file}: cannot be used: {why}"),
        "not_center": (
            "{center} 那里回答的不是中心（{why}）：也许是网络的登录页面，或地址错了。什么都没有改动。",
            "what answers at {center} is not the center ({why}): a login page of the network, or a wrong address."
            " Nothing was changed.",
        ),
        "unsigned": (
            "中心收到了，但还没有签发：请中心的人看看 desk 服务。再运行一次，同一个注册码仍然有效。",
            "the center has the request and has not signed it: somebody there must look at its desk. Run it again, the"
            " same code is still good.",
        ),
        "busy": ("中心请求太多，请过一会儿再试。", "the center is asked too often from here; try again in a minute"),
        "said": ("中心说：{why}", "the center says: {why}"),
        "enrolment-unknown": (
            "中心不认识这个注册码：再看一下标签，或请中心生成新的。",
            "the center does not know this code: look at the label again, or ask for a new code",
        ),
        "enrolment-used": (
            "这个注册码已被另一台机器用过，请中心生成新的。",
            "this code was used already, by another machine; ask the center for a new one",
        ),
        "enrolment-expired": (
            "这个注册码已过期，请中心生成新的。",
            "this code has expired; ask the center for a new one",
        ),
        "enrolment-withdrawn": (
            "这个注册码已作废，或中心生成过更新的；请用新的。",
            "this code was withdrawn, or the center has made a newer one; use that one",
        ),
        "enrolment-locked": (
            "这个注册码错试太多次，已锁定，请中心生成新的。",
            "this code was tried wrongly too often and is locked; ask the center for a new one",
        ),
        "enrolment-bundle": (
            "这个注册码是给U盘文件的：加 --bundle 文件。",
            "this code belongs to a file on a stick: add --bundle FILE",
        ),
        "answer-foreign": (
            "中心的回答不是给这个注册码的，没有使用它。什么都没有改动。",
            "the answer is not sealed for this code, and was not used. Nothing was changed.",
        ),
        "answer-version": (
            "中心的版本较新，先更新本机的 hearthline。",
            "the center is of a newer version: update hearthline here first",
        ),
        "bundle-unreadable": ("{file}：读不了：{why}", "{file}: cannot be read: {why}"),
        "bundle-foreign": (
            "{file}：不是中心生成的网关文件。",
            "{file}: this is no file that a center has made for a gateway",
        ),
        "bundle-offer": ("{file}：这个文件属于另一个注册码。", "{file}: this file belongs to another code"),
        "bundle-broken": (
            "{file}：文件损坏或不完整，或注册码不对；请重新拷贝。",
            "{file}: it is damaged or not whole, or the code is not its own; copy it again",
        ),
        "bundle-expired": (
            "{file}：已在 {until} 过期，请中心生成新的。",
            "{file}: it expired on {until}; ask the center for a new one",
        ),
        "unusable": (
            "中心给的证书不能用：{why}。什么都没有改动。",
            "the certificates from the center cannot be used: {why}. Nothing was changed.",
        ),
        "full": (
            "{path}：磁盘满了。什么都没有改动；腾出空间后再运行一次。",
            "{path}: the disk is full. Nothing was changed; make room and run it again.",
        ),
        "denied": ("{path}：没有权限；用 sudo 运行。", "{path}: not allowed; run it with sudo"),
        "not_written": (
            "{path}：写不了：{why}。再运行一次即可。",
            "{path}: cannot be written: {why}. It can be run again.",
        ),
        "other_run": (
            "另一个注册正在这里进行。",
            "another enrolment is under way here",
        ),
        "already": (
            "这台机器已用这个注册码注册为 {gateway}。",
            "This machine is {gateway} by this code already.",
        ),
        "done": (
            "这台机器现在是 {gateway}，配置在 {folder}，有 {devices} 个设备。",
            "This machine is {gateway} now. Its configuration is in {folder}, with {devices} devices.",
        ),
        "aside": ("以前的配置保留在 {aside}。", "The configuration of before is kept in {aside}."),
        "carried": (
            "串口等本机设置已从以前的配置带过来。",
            "Ports and other settings of this machine were taken over from it.",
        ),
        "not_started": (
            "没有启动。启动：sudo hearthline edge install --config {config}",
            "Nothing was started. To start it: sudo hearthline edge install --config {config}",
        ),
        "start_failed": (
            "配置已写好，但服务没有装好：{why}。解决后运行：sudo hearthline edge install --config {config}",
            "the configuration is there, but the service could not be installed: {why}. Then run: sudo hearthline edge"
            " install --config {config}",
        ),
    }
)


class EnrolError(HearthlineError):
    """Told to the installer in the terminal's language. `key`: of TEXTS."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(TEXTS.say(key, **values))
        self.key = key

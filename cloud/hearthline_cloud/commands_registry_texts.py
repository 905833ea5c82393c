"""What the registry's commands say, in Chinese and English."""

from __future__ import annotations

from hearthline.speech import Speech

SPEECH = Speech(
    {
        "help.community": ("社区", "Communities."),
        "help.home": ("住家及其地址", "Homes and their addresses."),
        "help.resident": ("住户：住在哪里、电话、病史", "Who lives in a home."),
        "help.contact": ("住户的联系人，按先后顺序通知", "Whom to call for a resident, one after the other."),
        "help.gateway": ("网关：装在哪个住家", "Gateways, and in which home they are."),
        "help.device": ("挂件、血压计、电表等设备", "Pendants, cuffs, meters and other devices."),
        "help.staff": ("工作人员账号", "Accounts of the center's staff."),
        "help.add": (
            "登记一个新的{what}；在终端里没有给出的内容会逐项询问。\n\n例：{example}",
            "Register a new {what}; in a terminal, what is not given is asked for.\n\nExample: {example}",
        ),
        "help.list": ("列出{what}。\n\n例：{example}", "List every {what} that is registered.\n\nExample: {example}"),
        "help.show": ("显示一个{what}的内容。\n\n例：{example}", "Show one {what}.\n\nExample: {example}"),
        "help.edit": (
            '修改给出的内容，其余不变；空文字 "" 表示清除。\n\n例：{example}',
            'Change what is given and leave the rest; "" clears a value.\n\nExample: {example}',
        ),
        "help.remove": (
            "移除一个{what}；还被引用时会拒绝并说明怎么办。\n\n例：{example}",
            "Remove one {what}; refused, with what to do, while something refers to it.\n\nExample: {example}",
        ),
        "help.erase": (
            "移除住户，即清除此人的全部资料，无法恢复；中途停止可再次运行。\n\n例：{example}",
            "Remove a resident: everything of the person is erased, for good; stopped in the middle, run it again.\n\n"
            "Example: {example}",
        ),
        "help.import": (
            "从 CSV 或 XLSX 导入：先检查全部行，有任何问题则什么都不改。\n\n例：{example}",
            "Import CSV or XLSX: every row is checked first, and with any problem nothing is changed.\n\n"
            "Example: {example}",
        ),
        "help.staff.add": (
            "新建账号；不给 --password-file 时生成密码并显示一次。\n\n例：{example}",
            "Add an account; without --password-file a password is made and shown once.\n\nExample: {example}",
        ),
        "help.staff.list": ("列出账号。\n\n例：{example}", "List the accounts.\n\nExample: {example}"),
        "help.staff.show": ("显示一个账号。\n\n例：{example}", "Show one account.\n\nExample: {example}"),
        "help.staff.password": (
            "换新密码，并结束此人的登录。\n\n例：{example}",
            "Give a new password and end the person's sessions.\n\nExample: {example}",
        ),
        "help.staff.edit": (
            "修改角色、社区，或重新启用；结束此人的登录。\n\n例：{example}",
            "Change role or communities, or open it again; ends the person's sessions.\n\nExample: {example}",
        ),
        "help.staff.remove": (
            "停用账号：名字留在日志中，因此不会删除。\n\n例：{example}",
            "Close an account: its name stays in the journal, so it is never deleted.\n\nExample: {example}",
        ),
        "option.role": ("此人的角色", "What the person may do from now on."),
        "option.community": ("只看这个社区；可重复", "See this community alone; may repeat."),
        "option.all-communities": ("看全部社区", "See every community."),
        "option.open": ("重新启用停用的账号", "Open a closed account again."),
        "help.staff.import": (
            "从 CSV 或 XLSX 新建账号；为每个账号生成密码，只显示一次。\n\n例：{example}",
            "Add accounts from CSV or XLSX; each gets a password that is made and shown once.\n\nExample: {example}",
        ),
        "template-csv": ("{file}：模板的文件名应以 .csv 结尾", "{file}: a template's name ends in .csv"),
        "staff.count": ("可新建 {count} 个账号", "{count} accounts could be made"),
        "staff.passwords": (
            "密码只显示这一次，请交给本人。",
            "The passwords are shown only now: give them to their owners.",
        ),
        "user.password": (
            "{name} 可以登录，密码是 {password}（只显示这一次）。",
            "{name} can log in with the password {password} (shown only now).",
        ),
        "user.login": ("{name} 可以登录。", "{name} can log in."),
        "user.role": ("{name} 现在的角色是 {role}。", "{name} is {role} now."),
        "user.communities": ("{name} 现在能看：{communities}。", "{name} sees {communities} now."),
        "user.disabled": ("{name} 不能再登录。", "{name} cannot log in any more."),
        "user.enabled": ("{name} 可以重新登录。", "{name} can log in again."),
        "user.factor-gone": (
            "{name} 只用密码登录，并重新设置第二因素。",
            "{name} logs in with the password alone, and sets up a new second factor.",
        ),
        "user.logged-out": ("{name} 已在所有地方退出登录。", "{name} is logged out everywhere."),
        "user.none": (
            "还没有账号：hearthline cloud user add 账号",
            "There is no account yet: hearthline cloud user add NAME.",
        ),
        "user.line": (
            "{name}：{role}，{places}，登录数 {sessions}",
            "{name}: {role}, {places}, {sessions} sessions",
        ),
        "user.with-factor": ("，有第二因素", ", second factor"),
        "user.closed": ("，已停用", ", disabled"),
        "staff.name": ("账号", "name"),
        "staff.role": ("角色", "role"),
        "staff.communities": ("社区", "communities"),
        "staff.state": ("状态", "state"),
        "staff.sessions": ("登录数", "sessions"),
        "staff.all": ("全部社区", "all communities"),
        "staff.open": ("启用", "open"),
        "staff.closed": ("已停用", "closed"),
        "staff.either": ("--community 和 --all-communities 只能选一个", "either --community or --all-communities"),
        "staff.changed": ("已修改账号 {name}；此人需重新登录。", "{name} is changed, and has to log in anew."),
        "staff.none": ("没有账号“{name}”", "there is no account {name!r}"),
        "option.config": ("中心的配置文件", "The center's configuration file."),
        "option.json": ("为程序输出一个 JSON 对象", "Print one JSON object for machines."),
        "option.with-gateways": ("连同其网关和设备", "Also its gateways and their devices."),
        "option.with-devices": ("连同其设备", "Also its devices."),
        "option.yes": ("没有它则什么都不做：无法恢复", "Without it nothing is done: there is no way back."),
        "option.of": ("只列出属于它的", "Only what belongs to it."),
        "option.dry-run": ("只检查，不写入；列出全部问题", "Only check, and list every problem."),
        "option.update": ("已有的条目按文件修改", "Change what is there already and differs."),
        "option.template": ("写出一个空白模板（.csv 或 .xlsx）", "Write an empty template there, .csv or .xlsx."),
        "option.kind": ("文件内容的种类（文件名看不出时）", "What the file holds, where its name does not say."),
        "option.number": ("序号，从 1 开始", "Which one, from 1."),
        "argument.file": ("CSV 或 XLSX 文件", "CSV or XLSX files."),
        "needed": ("{heading}（必填）", "{heading}, needed"),
        "optional": ("{heading}（可留空）", "{heading}, may be left empty"),
        "done.added": ("已登记{what} {id}。", "The {what} {id} is registered."),
        "done.changed": ("已修改{what} {id}。", "The {what} {id} is changed."),
        "done.removed": ("已移除{what} {id}。", "The {what} {id} is removed."),
        "done.erased": (
            "住户 {id} 的资料已清除。若登记文件中有此人，请删去；"
            "并把 {list} 复制到备份处：恢复较早的备份时需要（--erased）。",
            "{id} is erased. Take the entry out of a registry file, and copy {list} to where the backups are: a "
            "restore of one from before needs it (--erased).",
        ),
        "none": ("还没有登记。", "Nothing is registered."),
        "nothing-given": ("没有给出要修改的内容", "nothing to change was given"),
        "erase-needs-yes": (
            "移除住户就是清除此人的全部资料，无法恢复；确定请加 --yes。没有改动",
            "to remove a resident is to erase everything of the person, for good; say so with --yes. "
            "Nothing was changed",
        ),
        "bad-contact": (
            "没有第 {number} 位联系人；序号见 contact list",
            "there is no contact {number}: contact list numbers them",
        ),
        "give-option": ("请给出 {option}", "give {option} too"),
        "no-file": ("请给出要导入的文件，或 --template", "give a file to import, or --template"),
        "cannot-read": ("{file}：无法读取：{why}", "{file}: cannot be read: {why}"),
        "cannot-write": ("{file}：无法写入：{why}", "{file}: cannot be written: {why}"),
        "is-there": ("{file}：已存在，不会覆盖", "{file}: is there already and is not written over"),
        "template-kind": (
            "{file}：模板的文件名应以 .xlsx{csv}结尾",
            "{file}: a template's name ends in .xlsx{csv}",
        ),
        "or-csv": (" 或 .csv ", " or .csv"),
        "template-done": ("模板已写入 {file}。", "The template is in {file}."),
        "file-too-large": ("{file}：超过 {most} MiB", "{file}: is larger than {most} MiB"),
        "stage.check": ("检查", "checking"),
        "stage.seal": ("加密", "sealing"),
        "stage.write": ("写入", "writing"),
        "count": (
            "{what}：新增 {new}，修改 {changed}，不变 {same}",
            "{what}: {new} new, {changed} changed, {same} as they are",
        ),
        "problems": ("有 {count} 个问题；没有改动。", "{count} problems; nothing was changed."),
        "would": ("没有问题；去掉 --dry-run 即可导入。", "No problem; without --dry-run it is imported."),
        "imported": ("已导入。", "Imported."),
        "notes.title": ("说明", "notes"),
        "notes.first": (
            "每个工作表一种内容；第一行是列标题，标有 * 的必须填写，不用的列可以删去。",
            "One sheet for each kind. The first row says what the columns are; those with * must be filled in, others "
            "may go.",
        ),
        "notes.id": (
            "编号由您决定，会出现在网络和统计数据中，不能是姓名或地址：用英文字母、数字、“-”、“_”、“.”。",
            "Ids are yours to choose. They stand on the wire and in figures, so they are no names and no addresses: "
            "letters A to Z, digits, '-', '_', '.'.",
        ),
        "notes.device": (
            "设备类型：{kinds}；监测周期：5min 到 31d，例如 12h，或 off；留空则按类型。",
            "Device kinds: {kinds}. Supervision: 5min to 31d, as in 12h, or off; empty: as the kind has it.",
        ),
    }
)

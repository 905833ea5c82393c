"""One's own account, the second factor and its codes."""

TEXTS: dict[str, tuple[str, str]] = {
    "account.title": ("我的账号", "My account"),
    "account.ask": ("角色和社区由管理员设置。", "Role and communities are set by an administrator."),
    "account.password": ("修改密码", "Change the password"),
    "account.present": ("当前密码", "Present password"),
    "account.new": ("新密码", "New password"),
    "account.new-note": (
        "至少 8 个字符，越长越好；不要使用姓名或其他地方用过的密码。",
        "At least 8 characters, better more; not the name, and none that is used elsewhere.",
    ),
    "account.again": ("再次输入新密码", "New password again"),
    "account.save": ("保存新密码", "Save the new password"),
    "account.wrong": ("当前密码不正确。", "The present password is wrong."),
    "account.unequal": ("两次输入的新密码不一致。", "The two new passwords are not the same."),
    "account.weak": (
        "新密码太短，或与姓名或当前密码相同。",
        "The new password is too short, or is the name or the present password.",
    ),
    "account.sessions": ("登录情况", "Logins"),
    "account.open": ("当前登录的浏览器和设备：{count}", "Browsers and devices that are logged in now: {count}"),
    "account.end": ("退出所有其他登录", "End all other logins"),
    "account.end-note": (
        "如果您在别处忘记退出，或怀疑他人正在使用您的账号，请使用此功能。",
        "For when you have left one open somewhere, or somebody else may be using your account.",
    ),
    "account.done.password": (
        "密码已修改，其他登录均已结束。",
        "The password is changed, and every other login has ended.",
    ),
    "account.done.sessions": ("其他登录均已结束。", "Every other login has ended."),
    "account.done.removed": ("两步验证已关闭。", "The second factor is removed."),
    "code.title": ("两步验证", "Second step"),
    "code.label": ("验证码", "Code"),
    "code.note": (
        "手机验证器应用显示的六位数字，或一个恢复码。每个码只能使用一次。",
        "The six digits that the app on your phone shows, or one of your recovery codes. Each is good once.",
    ),
    "code.other": ("使用其他账号登录", "Log in as somebody else"),
    "code.wrong": (
        "验证码不正确或已使用过。请等待应用显示下一个验证码。",
        "The code is wrong, or was used before. Wait for the next one.",
    ),
    "code.throttled": (
        "错误的验证码过多。请使用恢复码，或联系管理员重置两步验证。",
        "Too many wrong codes. Use a recovery code, or ask an administrator to reset the second factor.",
    ),
    "factor.title": ("两步验证", "Second factor"),
    "factor.on": ("两步验证已开启", "Second factor set up"),
    "factor.off": ("未开启两步验证", "No second factor"),
    "factor.since": ("开启时间：", "Set up:"),
    "factor.left": ("剩余恢复码：{count}", "Recovery codes left: {count}"),
    "factor.why": (
        "开启后，登录时除密码外还需要手机上的验证码。即使密码被盗，他人也无法登录。",
        "Logging in then needs a code from your phone beside the password, so that a stolen password opens nothing.",
    ),
    "factor.need": (
        "您需要一部装有验证器应用的手机，例如 FreeOTP、Google Authenticator 或 Microsoft Authenticator。",
        "You need a phone with an authenticator app, such as FreeOTP, Google Authenticator or Microsoft Authenticator.",
    ),
    "factor.must": (
        "您的角色必须开启两步验证，开启之前不能使用其他功能。",
        "Your role needs a second factor. You can do nothing else before it is set up.",
    ),
    "factor.begin": ("开启两步验证", "Set a second factor up"),
    "factor.change": ("更换手机、新恢复码……", "Another phone, new recovery codes…"),
    "factor.next": ("继续", "Go on"),
    "factor.other-phone": ("更换手机", "Use another phone"),
    "factor.new-codes": ("生成新的恢复码", "Make new recovery codes"),
    "factor.remove": ("关闭两步验证", "Remove the second factor"),
    "factor.required": ("您的角色不能关闭两步验证。", "Your role may not be without a second factor."),
    "factor.scan": ("一、用验证器应用扫描", "1. Scan it with the app"),
    "factor.scan-note": (
        "在应用中选择添加账号，然后扫描此二维码。",
        "Add an account in the app and point the camera here.",
    ),
    "factor.picture": (
        "含有密钥的二维码；密钥也以文字形式显示在下方。",
        "QR code of the key, which stands below as text",
    ),
    "factor.type": ("无法扫描时，请手动输入密钥（基于时间）：", "If it cannot be scanned, type the key in (by time):"),
    "factor.confirm": ("二、输入应用显示的验证码", "2. Type the code that the app shows"),
    "factor.code": ("六位验证码", "Code of six digits"),
    "factor.clock": (
        "如果验证码总是不正确，请检查手机的时间是否自动设置。",
        "If no code is accepted, see whether the phone sets its clock by itself.",
    ),
    "factor.finish": ("完成", "Finish"),
    "recovery.title": ("恢复码", "Recovery codes"),
    "recovery.done": (
        "两步验证已开启，其他登录均已结束。",
        "The second factor is set up, and every other login has ended.",
    ),
    "recovery.keep": ("请立即抄写或打印", "Write them down or print them now"),
    "recovery.text": (
        "手机丢失时，可用恢复码代替验证码登录，每个只能使用一次。这些恢复码不会再次显示；之前的恢复码已失效。请与密码分开存放。",
        "Without your phone one of these takes the place of a code; each is good once. They are not shown again, and "
        "earlier ones open nothing any more. Keep them apart from your password.",
    ),
    "recovery.kept": ("我已保存", "I have kept them"),
}

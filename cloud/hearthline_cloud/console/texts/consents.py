"""What a resident has agreed to."""

TEXTS: dict[str, tuple[str, str]] = {
    "consents.title": ("同意书", "Consents"),
    "consents.note": (
        "每项同意可以随时撤回。撤回后，能停止的立即停止；呼救永远不会被拒绝。",
        "Each consent can be withdrawn at any time. What can stop, stops at once; no call for help is ever refused.",
    ),
    "consents.refused": ("没有保存：", "Not saved:"),
    "consents.agreed": ("已同意", "Agreed"),
    "consents.withdrawn": ("已撤回", "Withdrawn"),
    "consents.unknown": ("没有记录", "Nothing recorded"),
    "consents.kind.alarm": ("接收并处理呼救", "Calls for help are taken and answered"),
    "consents.kind.vitals": ("保存并显示测量值", "Vital signs are kept and shown"),
    "consents.kind.family": ("呼救时通知联系人", "Contacts are told of a call"),
    "consents.kind.activity": ("保存活动和门的记录", "Movements and doors are kept"),
    "consents.once.alarm": (
        "撤回后：呼救仍然会处理，请取回设备。",
        "Once withdrawn: calls are answered all the same; fetch the devices.",
    ),
    "consents.once.vitals": (
        "撤回后：不再保存新的测量值，已有的不再显示。",
        "Once withdrawn: new values are not stored, stored ones are not shown.",
    ),
    "consents.once.family": (
        "撤回后：不再通知联系人，改为通知全体值班人员。",
        "Once withdrawn: no contact is told; everyone on duty is told instead.",
    ),
    "consents.once.activity": (
        "撤回后：传感器仍会发送数据，请取回传感器。",
        "Once withdrawn: the sensors still tell; fetch them.",
    ),
    "consents.by.resident": ("本人", "the resident"),
    "consents.by.guardian": ("监护人", "the guardian"),
    "consents.document": ("签署的文件和版本", "Document and version that was signed"),
    "consents.guardian": ("监护人姓名（代签时填写）", "Guardian's name, where one signed"),
    "consents.agree": ("记录同意", "Write the consent down"),
    "consents.withdraw": ("撤回", "Withdraw"),
    "consents.withdraw-long": ("撤回同意：{kind}", "Withdraw the consent: {kind}"),
    "consents.recorded": ("{name} 记录", "written down by {name}"),
    "consents.withdrawn-by": ("{name} 撤回", "withdrawn by {name}"),
    "consents.before": ("撤回前没有记录文件", "no document was recorded before"),
}

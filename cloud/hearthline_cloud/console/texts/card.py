"""A resident's card: facts, vital signs and energy."""

TEXTS: dict[str, tuple[str, str]] = {
    "card.title": ("住户资料", "Resident's card"),
    "card.trace": ("查看资料会留下记录。", "Looking at a card is recorded."),
    "card.age": ("{age} 岁", "{age} years old"),
    "card.born": ("{year} 年出生", "born {year}"),
    "card.home": ("住址", "Home"),
    "card.phone": ("电话", "Phone"),
    "card.illnesses": ("健康状况", "Illnesses"),
    "card.notes": ("注意事项", "Notes"),
    "card.contacts": ("联系人", "Contacts"),
    "card.none": ("没有关联的住户资料。", "No resident belongs to this alert."),
    "card.full": ("全部资料与测量值", "Whole card and vital signs"),
    "vitals.title": ("最近的测量值", "Last vital signs"),
    "vitals.none": ("没有测量值", "No vital signs"),
    "vitals.when": ("时间", "Time"),
    "vitals.device": ("设备", "Device"),
    "vitals.advice": ("测量值仅供参考，不是诊断。", "Measured values, no diagnosis."),
    "quantity.systolic": ("收缩压", "Systolic"),
    "quantity.diastolic": ("舒张压", "Diastolic"),
    "quantity.heart_rate": ("心率", "Heart rate"),
    "energy.title": ("今日用电", "Energy today"),
    "energy.loading": ("正在读取……", "Reading…"),
    "energy.none": ("今天没有读数", "No reading today"),
    "energy.away": (
        "时序数据库没有应答，呼叫不受影响。",
        "The time-series store does not answer; alerts are not affected.",
    ),
}

SCRIPT_KEYS: tuple[str, ...] = (
    "energy.none",
    "energy.away",
)

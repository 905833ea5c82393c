"""Supervision: silent and faulty devices, what is supervised and what cannot be."""

TEXTS: dict[str, tuple[str, str]] = {
    "queue.device-silent": ("设备无信号", "Silent devices"),
    "queue.device-fault": ("待维护设备", "Devices to be seen to"),
    "kind.device-silent": ("设备无信号", "Device silent"),
    "kind.device-fault": ("待维护", "Upkeep"),
    "new.device-silent": ("设备无信号：{place}", "Device silent: {place}"),
    "new.device-fault": ("设备需要维护：{place}", "A device needs seeing to: {place}"),
    "hop.heard-again": ("重新收到信号", "Heard again"),
    "hop.told-again": ("再次提示", "Told again"),
    "hop.device-told": ("设备提示", "Device told"),
    "note.low-battery": ("电量低", "Battery low"),
    "note.tamper": ("外壳被打开或被取下", "Case open or taken down"),
    "note.error": ("设备报告故障", "Device reports an error"),
    "note.encrypted": ("信号加密，无法读取", "Encrypted: cannot be read"),
    "note.offline": ("已离线", "Offline"),
    "note.no-reply": ("没有应答", "Does not answer"),
    "note.port-lost": ("接口断开", "Port lost"),
    "device.last-heard": ("最后一次信号", "Last heard"),
    "device.supervised": ("{hours} 小时无信号即报警", "told after {hours} h of silence"),
    "device.unwatched.no-battery": ("不监测：无电池，按下才发信号", "Not supervised: no battery, speaks when pressed"),
    "device.unwatched.only-when-pressed": ("不监测：按下才发信号", "Not supervised: speaks when pressed"),
    "device.unwatched.only-when-used": ("不监测：使用时才发信号", "Not supervised: speaks when used"),
    "device.unwatched.by-notes": ("由网关监测", "Watched by its gateway"),
    "device.unwatched.unknown-kind": ("不监测：未登记设备类型", "Not supervised: no kind is registered"),
    "device.unwatched.switched-off": ("不监测：登记为不监测", "Not supervised: switched off in the registry"),
    "declared.maintenance": ("维护中，至", "Under maintenance until"),
    "declared.absence": ("住户外出，至", "Declared away until"),
}

SCRIPT_KEYS: tuple[str, ...] = ("new.device-silent", "new.device-fault")

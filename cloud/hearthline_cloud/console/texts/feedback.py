"""The one question after a case is closed, and its answers on the case's page."""

TEXTS: dict[str, tuple[str, str]] = {
    "feedback.title": ("得到帮助了吗？", "Were you helped?"),
    "feedback.about": (
        "您或您家人向社区照护中心的呼叫已处理完成。我们只问一个问题。",
        "Your call to the community care center, or your relative's, was closed. We ask one question.",
    ),
    "feedback.question": ("这次得到帮助了吗？", "Was there help this time?"),
    "helped.yes": ("是", "Yes"),
    "helped.partly": ("部分", "Partly"),
    "helped.no": ("没有", "No"),
    "feedback.words": ("还想告诉我们什么？（可不填）", "Anything to add? (optional)"),
    "feedback.send": ("提交", "Send"),
    "feedback.choose": ("请先选择一个答案。", "Please choose an answer first."),
    "feedback.too-long": ("最多 {most} 个字。", "{most} characters at most."),
    "feedback.thanks": ("谢谢您的回答", "Thank you for the answer"),
    "feedback.thanks-text": ("照护中心会看到您的回答。", "The care center sees your answer."),
    "feedback.emergency": (
        "这里无人值守。需要帮助请按呼叫按钮，紧急情况请拨打 120。",
        "Nobody watches this page. For help press the button; in an emergency dial 120.",
    ),
    "hop.feedback-asked": ("已询问是否得到帮助", "Asked whether there was help"),
    "hop.feedback-given": ("答复：是否得到帮助", "Answered whether there was help"),
    "asked.contact": ("联系人", "Contact"),
    "asked.resident": ("住户", "Resident"),
}

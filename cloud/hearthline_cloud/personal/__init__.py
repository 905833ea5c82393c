"""Personal data: sealed at rest under a key for each person, agreed to, exported, erased. Decision 045 says why."""

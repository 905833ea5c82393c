"""The one place for values of vital signs at which a chart draws a line: for people who know them, no diagnosis.

Blood pressure measured at home: 135/85 mmHg and more is high (Chinese guidelines for the management of hypertension,
2024 revision; the same figure in the guidelines of the European Society of Hypertension). There is none for the pulse.
"""

from __future__ import annotations

HIGH_FROM: dict[str, float] = {"systolic": 135.0, "diastolic": 85.0}

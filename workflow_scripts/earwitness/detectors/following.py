"""How a detector follows a recording: settings that are tuned on development recordings and lie in its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from earwitness.detectors.segments import SegmentRule


@dataclass(frozen=True)
class Following:
    """Every step_ms, the stretch_ms around are heard; a frame's probability is the mean over `smoothed` frames around it, an odd number; rule
    makes segments of that."""

    stretch_ms: int
    step_ms: int
    rule: SegmentRule
    smoothed: int = 1

    def record(self) -> dict[str, Any]:
        """This as it is written into a detector's folder."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Following":
        """What `record` made, undone."""
        return cls(record["stretch_ms"], record["step_ms"], SegmentRule(**record["rule"]), record["smoothed"])

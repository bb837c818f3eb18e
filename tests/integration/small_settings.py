"""The demo, which is the smallest study that has every part; and less of it, for tests that ask nothing of what was learned."""

import yaml
from checkout import ROOT

DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
SMALLEST = DEMO | {
    "splits": DEMO["splits"] | {"row_random": {"speech_sources": 3, "sound_sources": 4, "stimuli": 24}},
    "models": {"base": {"generation_check": 20, "tiny": {"steps": 20, "pool": 128, "batch_size": 16}}},
    "finetuning": DEMO["finetuning"] | {"recipe": {"steps": 4, "batch_size": 8}},
}

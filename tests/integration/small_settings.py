"""The smallest study that still has every part."""

SETTINGS = {
    "embedded": {"speakers": 24, "sounds": 24, "base_speakers": 8, "base_sounds": 18, "baseline_speakers": 4, "baseline_sounds": 6},
    "clips": {"per_source": 1},
    "stimuli": {"durations_ms": [200, 1000], "snrs_db": [0, 20]},
    "baseline": {"speech_clips": 3, "sound_clips": 4},
    "splits": {"dev_fraction": 0.15, "test_fraction": 0.35, "row_random": {"speech_sources": 3, "sound_sources": 5, "stimuli": 24}},
    "models": {"base": {"tiny": {"steps": 20, "pool": 128, "batch_size": 16}}},
    "finetuning": {"recipe": {"steps": 4, "batch_size": 8, "micro_batch_size": 4}, "experiments": {"main": {"seeds": [1, 2]}}},
    "prompt_search": {"seeds": [1, 2], "iterations": 2, "candidates": 3, "stimuli": 16, "development_stimuli": 16},
    "resources": {"stimulus_shards": 2},
}

"""Speech detectors: the classic ones, and the fine-tuned model in a folder of its own."""

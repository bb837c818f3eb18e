"""The audio language model: its engine, features on disk, prediction, fine-tuning, the tiny base, the hub."""

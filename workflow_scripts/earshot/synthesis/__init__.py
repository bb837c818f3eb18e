"""The embedded corpus: voices, sounds, rooms, written in the layouts of the real data sets."""

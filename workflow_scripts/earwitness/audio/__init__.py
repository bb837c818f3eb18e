"""Waveforms: reading and writing, levels, noises, and the window in which a sound is heard."""

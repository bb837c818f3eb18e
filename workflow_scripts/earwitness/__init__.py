"""Earwitness: how well an audio language model hears speech, measured without fooling oneself."""

"""Recordings: layouts of data sets, annotations, file checks, clips, downloads, and the embedded corpus."""

"""Copies of audio under other names: louder, inverted, shifted, resampled, filtered, noisy or re-encoded.

Comparing all pairs is out of the question for large corpora, so candidates come from an index and are then verified.

1. Landmarks. Local maxima of the spectrogram survive gain, filtering, coding and noise (A. Wang, "An industrial-strength
   audio search algorithm", ISMIR 2003). The strongest are kept apart for the band of telephone speech and for what lies
   above, so that a copy that lost its upper band still has all of the lower, and some of every quarter of a second, so that
   a copy that lost the loudest event has those of the rest. Peak times are interpolated: a shift by half
   a frame would otherwise change which frame is the maximum.
2. Index. Every landmark with two of its nearest successors is one 31-bit hash, independent of when it occurs (triplets of
   peaks: J. Six and M. Leman, "Panako", ISMIR 2014). Hashes are sorted, and each is paired with a bounded number of
   neighbours of the same value (the sorted neighbourhood of M. Hernandez and S. Stolfo, SIGMOD 1995), so work grows with
   the number of hashes, not of pairs. Items are ordered by a digest of their name: their order in a file does not matter.
3. Candidates. Pairs of items whose common hashes agree on one time shift, and whose landmarks then coincide.
4. Verification. Normalised cross-correlation r of the overlap, band-limited, at the best lag near that shift. Unrelated
   recordings correlate as well where one tone, or one click, makes up most of both. So the correlations of short frames in
   octave bands, all equally weighted, must agree too: their mean times -log(1 - r^2), which is twice the information that
   a sample of one has about the other, must reach a limit. A faithful copy needs little support, a noisy one more.
5. Several pairs together. Short pieces in noise tell too little each, but what pieces of other stretches of the same two
   sources tell adds up, as they err independently; their sum is held to the same limit.
"""

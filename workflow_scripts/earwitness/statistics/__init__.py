"""Statistics of clustered answers: arrays in, numbers out."""

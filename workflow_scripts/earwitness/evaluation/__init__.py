"""What systems answer, scored: accuracy, comparison, ensembles, calibration, experiments, errors."""

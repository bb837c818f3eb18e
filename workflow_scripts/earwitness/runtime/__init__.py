"""What jobs need of the machine: devices, checkpoints, progress."""

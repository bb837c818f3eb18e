"""What jobs need of the machine: devices, threads, worker processes, and the saved state of interrupted work."""

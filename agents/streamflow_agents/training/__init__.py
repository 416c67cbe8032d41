"""Training: tasks, algorithms, networks, checkpoints and curves."""

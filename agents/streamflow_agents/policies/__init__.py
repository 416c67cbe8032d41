"""Policies: the protocol they speak, the baselines, and loading by name."""

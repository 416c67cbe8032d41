"""The search for the numbers of the tuned baselines."""

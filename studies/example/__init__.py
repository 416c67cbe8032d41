"""One trained agent and the baselines on a few held-out episodes: the example that the documentation shows."""

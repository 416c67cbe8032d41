"""The baselines on a recorded day with flash crowds."""

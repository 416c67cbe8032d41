"""Agents trained with several seeds, evaluated on the same episodes as the baselines."""

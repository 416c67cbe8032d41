"""Agents trained with several seeds, evaluated as the baselines are."""

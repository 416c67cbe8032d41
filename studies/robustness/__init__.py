"""Policies under conditions that differ from those they were tuned or trained on."""

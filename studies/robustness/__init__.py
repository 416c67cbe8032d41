"""Policies where the world is not the one they were tuned or trained on."""

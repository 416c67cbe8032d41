"""Recorded traffic in pictures."""

"""Evaluation: paired episodes, statistics, tables and plots."""

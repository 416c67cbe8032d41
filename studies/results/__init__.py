"""The results page, from what other studies kept."""

"""The headroom: how much every policy, and the clairvoyant, return on the same episodes."""

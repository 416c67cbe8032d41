"""The two engines against each other, event by event."""

"""Pictures of recorded traffic."""

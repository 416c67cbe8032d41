"""Every baseline on held-out episodes, and what each part of the tuned expert is worth."""

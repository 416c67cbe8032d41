"""What the agents' controllers are held to: cases from the originals' own tests and documentation."""

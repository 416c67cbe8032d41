"""Evidence that the simulator is right: against theory, a second simulator, published failures and exact accounting."""

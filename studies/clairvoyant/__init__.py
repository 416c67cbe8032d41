"""What a search with foresight reaches: an approximate upper bound."""

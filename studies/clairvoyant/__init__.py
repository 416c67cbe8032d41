"""The clairvoyant: schedules searched with foresight, an approximate upper bound of the return."""

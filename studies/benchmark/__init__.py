"""How fast the simulator is, measured side by side with other simulators in one run."""

"""What exploring costs, control by control: one control is moved, all else is left to the policy."""

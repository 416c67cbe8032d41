"""What can be run from a shell: `streamflow-train` and `streamflow-evaluate`; in a checkout also from `scripts`."""

"""Console commands: `streamflow-train`, `streamflow-evaluate`, `streamflow-compare`; `scripts/` calls them as well."""

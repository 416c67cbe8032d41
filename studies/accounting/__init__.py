"""Random control steps against every account and bound."""

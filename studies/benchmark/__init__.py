"""How fast it is: measured side by side in one run, and written to docs/performance.md (`make benchmark`).

Beside the packages, because its peers need what the packages may not import: SimPy, and Ciw.
"""

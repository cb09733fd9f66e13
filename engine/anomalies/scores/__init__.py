"""One anomaly score per file: formula, source, and a frozen fitted object.

`fit(...)` returns a new fitted scorer; higher is more anomalous for every method.
"""

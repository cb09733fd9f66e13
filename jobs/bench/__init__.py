"""Benchmarks: measured side by side in one run, written as JSON under docs/results/."""

"""Verification: the labelling desk, its pictures, the people and what their labels teach."""

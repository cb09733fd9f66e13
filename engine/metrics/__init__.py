"""Figures of merit, in numpy alone: importing this package loads no torch."""

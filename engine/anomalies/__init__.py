"""Anomaly finding: cutouts of a frame are embedded, scored, calibrated and judged."""

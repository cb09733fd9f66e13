"""The parts of `skysieve bench anomaly`."""

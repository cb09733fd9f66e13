"""The list of detections: its facets, its faces, and what can be done with it."""

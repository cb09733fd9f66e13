-- Saved views of the lists; clusters of detections that people name.
SELECT 1;

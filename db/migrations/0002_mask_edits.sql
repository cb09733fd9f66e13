-- Masks that people edited, and what a calibration report says before and after its temperature.
SELECT 1;

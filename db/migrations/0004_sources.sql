-- Where each source stands: its cursor, its health, what it may keep on disk.
SELECT 1;

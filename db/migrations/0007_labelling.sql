-- What people say of a detection, in full; who was handed what.
SELECT 1;

-- What speaks for and against a detection beside its scores.
SELECT 1;

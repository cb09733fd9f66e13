-- How the catalogue services fare, and answers that can be used again.
SELECT 1;

-- When a person last looked.
SELECT 1;

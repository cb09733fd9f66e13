"""What is remembered: the DuckDB schema, migrations, writes and queries."""

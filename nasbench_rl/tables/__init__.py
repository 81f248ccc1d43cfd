"""Store scores as Parquet tables, find them and read them: what is stored."""

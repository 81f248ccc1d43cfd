"""What several test modules share: made tables, runs, networks and methods, and processes that are killed."""

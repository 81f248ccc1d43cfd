"""Statistics of searches: intervals, ranks, agreement."""

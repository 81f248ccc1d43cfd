"""Score against cost: fronts and hypervolume of runs, their figures and tables."""

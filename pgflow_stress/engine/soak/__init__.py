"""A soak's books: its course window by window, jobs of retention that run meanwhile, and runs that those removed."""

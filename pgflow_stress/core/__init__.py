"""What every layer above shares: names, units, errors, the result's shape, the arena."""

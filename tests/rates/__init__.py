"""Rate limits: what a bucket gives, what a process lets pass, and what all processes together let pass."""

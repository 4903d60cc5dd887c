"""What decides the chapter's claims: thresholds, and the numbers that the claims are told with."""

PEAK = 50
"""Step at which the spectrum of seed 42 is sharpest."""
EARLY = 200
"""Until when outliers are called early."""
EPOCH = 469
"""Steps of an epoch."""
LEVEL = 0.05
"""Below it a p counts as small."""

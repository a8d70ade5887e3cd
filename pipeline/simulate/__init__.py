"""What a scan of up to 10^9 images would cost: the scan's own functions, run on vectors that lie as real ones do.

`likeness` draws such vectors, `collection` a whole collection of them, `centres` makes as many cells as there would be,
`fill` fills a few of them as full as they would be, `estimate` measures those and extrapolates, `whole` runs everything
for comparison. PLAN.md says what follows for 10^9 images.
"""

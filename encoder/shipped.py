"""The models that twinpix has come with: each takes the place of those before it by itself, and of no other."""

from __future__ import annotations

SHIPPED = (
    "08293a3f1a8cc0a6",
    "4e06473ee86e0a82",
    "16e8f76535ab1d0a",
    "01233bd3b693c0d9",
    "c0f1f56d6b398ddd",
    "3bbf0592996f243a",
    "d47a06be64022154",
    "1841ea86bbb639c6",
    "acef480d41abf926",
    "8a0e473598acb6bd",
)  # fingerprints, oldest first; the last one is that of the model in `models`

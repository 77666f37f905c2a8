"""Money is an integer of minor units beside an ISO 4217 code; it is never a float and never rounded twice."""

from __future__ import annotations

from collections.abc import Sequence


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` minor units over `weights` by largest remainder, so that the shares sum to `total` exactly.

    Ties go to the earlier share. All-zero weights share evenly. Raises ValueError on no or negative weights.
    """
    if not weights or min(weights) < 0:
        raise ValueError("weights must be non-negative and not empty")
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    sign = -1 if total < 0 else 1
    exact = [divmod(abs(total) * weight, whole) for weight in weights]
    shares = [share for share, _ in exact]
    left = abs(total) - sum(shares)
    for i in sorted(range(len(weights)), key=lambda i: (-exact[i][1], i))[:left]:
        shares[i] += 1
    return [sign * share for share in shares]


def percentage(amount: int, basis_points: int) -> int:
    """`basis_points` (1/100 %) of `amount` minor units, rounded half up."""
    return (amount * basis_points + 5_000) // 10_000

"""Labels beside each other that would lie on each other."""

from __future__ import annotations

from collections.abc import Sequence


def spread_out(wanted: Sequence[float], apart: float) -> list[float]:
    """Return places near the `wanted` ones that are at least `apart` from each other.

    They lie in [0, 1] as far as all of them fit there. Labels keep their order; those that would overlap are set around
    the mean of the places that they want.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    groups: list[tuple[float, list[int]]] = []
    for index in order:
        groups.append((wanted[index], [index]))
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < apart * (len(groups[-1][1]) + len(groups[-2][1])) / 2:
            members = groups[-2][1] + groups[-1][1]
            half = apart * (len(members) - 1) / 2
            centre = sum(wanted[member] for member in members) / len(members)
            groups[-2:] = [(min(max(centre, half), max(1 - half, half)), members)]
    places = list(wanted)
    for centre, members in groups:
        for rank, member in enumerate(members):
            places[member] = centre + apart * (rank - (len(members) - 1) / 2)
    return places

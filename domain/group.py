"""What the broker says of a consumer group, seen from outside its members. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

Place = tuple[str, int]
"""Topic, with its prefix, and partition."""


@dataclass(frozen=True, slots=True)
class GroupView:
    """One look at a group.

    ends:     the offset behind the last committed record of each partition that the group reads
    members:  the partitions each member was given, by member id
    stable:   False while the group rebalances: then `members` says nothing
    """

    ends: Mapping[Place, int]
    members: Mapping[str, frozenset[Place]]
    stable: bool = True

    @property
    def unread(self) -> frozenset[Place]:
        """Partitions that no member was given."""
        return frozenset(self.ends).difference(*self.members.values())

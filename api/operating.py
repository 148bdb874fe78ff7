"""What concerns the whole service is for its operators: the tenants that STRUCTURED_PROMPT_OPERATORS names."""

from collections.abc import Collection

from starlette.requests import Request

from api.authentication import caller_of
from api.problems import Problem


class Operators:
    """Knows who may operate the service."""

    def __init__(self, tenants: Collection[str]) -> None:
        self._tenants = frozenset(tenants)

    def include(self, tenant: str) -> bool:
        return tenant in self._tenants

    def check(self, request: Request) -> None:
        """Raises Problem (forbidden) where the caller is a customer like any other."""
        self.demand(caller_of(request).tenant.name)

    def demand(self, tenant: str) -> None:
        """The same, of the caller's tenant."""
        if not self.include(tenant):
            raise Problem(
                "forbidden",
                "this is for operators of the service: the key's tenant is not in STRUCTURED_PROMPT_OPERATORS",
            )

"""Errors of the policies package."""


class PolicyError(Exception):
    """Base of everything that can be wrong with a policy, a roster, a grants file or a predicate."""

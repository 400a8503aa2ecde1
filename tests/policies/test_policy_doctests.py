"""The examples in the documentation of `policies` are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import policies

MODULES = [f"policies.{module.name}" for module in pkgutil.iter_modules(policies.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_examples_are_true(module: str) -> None:
    """Each example in a docstring gives what it says."""
    assert doctest.testmod(importlib.import_module(module)).failed == 0

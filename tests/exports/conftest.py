"""Runs to export, written as training writes them."""

from __future__ import annotations

from tests.reporting.conftest import make_run as make_run

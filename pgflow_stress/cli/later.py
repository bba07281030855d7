"""Options' values that are named already and come later: listed, honest about it, and refused when used."""

from __future__ import annotations

NOT_YET = "is not available yet"

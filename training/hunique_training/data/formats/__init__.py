"""Readers of the formats that sources come in, one a file; `registry` finds the right one."""

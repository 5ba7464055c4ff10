"""Policies: one place decides (`deciding`), one asks it (`gate`), people keep them (`keeping`) and try them
(`trying`).
"""

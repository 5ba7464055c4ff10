"""The audit: what is recorded (`recording`), how it is chained and sealed (`chaining`), how it is read
(`reading`); docs/adr/016.
"""

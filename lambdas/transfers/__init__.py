"""The use cases of transfers: people ask (`desk`), the table's stream leads on (`reactions`), agents report
(`hearing`), and the clock looks after what got stuck (`sweeping`).
"""

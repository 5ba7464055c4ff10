"""The use cases of transfers.

People create and steer them (`service`, `operations`), the table's stream triggers what follows
(`stream_handler`, `dispatcher`), agents report (`report_handler`), and the sweeper retries what got stuck
(`lease_sweeper`). Every change goes through one `writer`.
"""

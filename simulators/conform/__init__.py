"""The conformance kit: tries a receiver or a sender, ours or anybody's, clause by clause, over its own line.

Turns a line into rows of pass and fail. Law: judged is only what can be seen from outside; what cannot is said to be
so. What is sent is marked as debugging (H-12 D, MSH-11 D) and carries samples that nobody registered.
"""

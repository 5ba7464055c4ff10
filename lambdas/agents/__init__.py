"""The use cases of agents: hosts join (`enrolling`) and leave (`leaving`), agents are heard and looked at
(`book`), people look into their directories (`browsing`).
"""

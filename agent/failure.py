"""What a person at this host must put right: said in one sentence, with what to do about it."""


class HostError(Exception):
    """Something on this host, or in what it was given, keeps the agent from going on."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

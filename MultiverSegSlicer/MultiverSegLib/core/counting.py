"""Numbers of things in English sentences."""


def counted(number: int, thing: str) -> str:
    """The number with its noun.

    Example:
        >>> counted(1, "case"), counted(2, "case")
        ('1 case', '2 cases')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"

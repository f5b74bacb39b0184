"""Texts of what went wrong, as they are kept."""


def shortened(text: str, most: int) -> str:
    """A text without its middle, if it has more than `most` characters: it begins with where, and ends with what."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"

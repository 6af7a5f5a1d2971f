"""What must not be computed in half precision, whatever autocast chose."""

from torch import Tensor


def single_or_more(values: Tensor) -> Tensor:
    """Half precision made single; others as they are."""
    return values.float() if values.itemsize < 4 else values
